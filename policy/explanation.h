// A decision in words: for the 403 page, `gateway explain` and the log.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "policy/decision.h"
#include "policy/policy.h"

namespace soleroute::policy {

// One sentence, plain ASCII, nothing from the request unescaped: "No entry of the policy allows this host."
[[nodiscard]] std::string reason_sentence(const Policy& policy, const FlowFacts& facts, const Decision& decision);

// Lines to add to policy.yaml that would allow this flow, ready to paste; empty when nothing a policy could say would.
[[nodiscard]] std::string how_to_allow(const Policy& policy, const FlowFacts& facts, const Decision& decision);

// The whole body of the refusal page (docs/refusals.md): first line exactly
// "Blocked by proxy policy: <host>", then reason, deciding rule, existing rules of that host, lines to add.
[[nodiscard]] std::string refusal_page(const Policy& policy, const FlowFacts& facts, const Decision& decision);
// All of it in one line, as some clients show nothing else of a refusal: "Blocked by proxy policy: <host>. ", the
// reason and the remedy. Plain ASCII.
[[nodiscard]] std::string refusal_message(const Policy& policy, const FlowFacts& facts, const Decision& decision);
// The same as a JSON object with keys error, host, reason, message (refusal_message()), rule, suggestion.
[[nodiscard]] std::string refusal_json(const Policy& policy, const FlowFacts& facts, const Decision& decision);

}  // namespace soleroute::policy
