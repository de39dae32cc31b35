// The pages that a request is answered with instead of being forwarded: one wording, whichever version and door of HTTP
// it came through.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>

#include "gateway/flow/connector.h"
#include "gateway/http/page.h"
#include "policy/decision.h"
#include "policy/policy.h"

namespace soleroute::gateway::http {

// How the client wants to be told.
struct PageForm {
  BodyForm body = BodyForm::kText;
  bool one_line = false;  // it shows no body: the page's `message` is needed
};

// A denied request: which name, why, and what to add to the policy (docs/refusals.md).
[[nodiscard]] Page refusal_page(const policy::Policy& policy, const policy::FlowFacts& facts,
                                const policy::Decision& decision, int status, PageForm form);
// 504 for kTimedOut, else 502.
[[nodiscard]] int upstream_status(policy::Reason reason);
// An allowed request whose origin could not be dialled. `decision` has the failure's reason. A name that resolves to
// private addresses alone gets the page that says how to list one of them.
[[nodiscard]] Page dial_failure_page(const policy::Policy& policy, const policy::FlowFacts& facts,
                                     const policy::Decision& decision, const std::string& host,
                                     const flow::DialFailure& failure, PageForm form);

}  // namespace soleroute::gateway::http
