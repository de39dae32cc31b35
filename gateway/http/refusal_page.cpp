// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/refusal_page.h"

#include "gateway/http/internal_site.h"
#include "policy/explanation.h"

namespace soleroute::gateway::http {

Page refusal_page(const policy::Policy& policy, const policy::FlowFacts& facts, const policy::Decision& decision,
                  int status, PageForm form) {
  Page page{status, policy::to_string(decision.reason), {}, form.json};
  page.body = form.json ? policy::refusal_json(policy, facts, decision) : policy::refusal_page(policy, facts, decision);
  if (!form.json) page.body += kWhereToLook;
  if (form.one_line) page.message = policy::refusal_message(policy, facts, decision);
  return page;
}

int upstream_status(policy::Reason reason) {
  return reason == policy::Reason::kTimedOut ? 504 : 502;
}

Page dial_failure_page(const policy::Policy& policy, const policy::FlowFacts& facts, const policy::Decision& decision,
                       const std::string& host, const flow::DialFailure& failure, PageForm form) {
  const int status = upstream_status(failure.reason);
  const auto reason = policy::to_string(failure.reason);
  // Not the failure's message: agents are not told where names lead inside.
  if (failure.reason != policy::Reason::kPrivateAddress) return upstream_page(status, reason, host, failure.message);
  return refusal_page(policy, facts, decision, status, form);
}

}  // namespace soleroute::gateway::http
