// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/refusal_page.h"

#include "gateway/http/internal_site.h"
#include "gateway/http/proxy_status.h"
#include "policy/explanation.h"

namespace soleroute::gateway::http {

namespace {

std::string phrase_for(const policy::FlowFacts& facts, const policy::Decision& decision) {
  const auto host = policy::refusal_subject(facts);
  using policy::Reason;
  switch (decision.reason) {
    case Reason::kPrivateAddress:
      return reason_phrase("Blocked by policy: " + host + " (private address)", {});
    case Reason::kSecretUnavailable:
      return reason_phrase("Secret not readable", host);
    case Reason::kNameMismatch:
      return reason_phrase("Host mismatch", host);
    default:
      return reason_phrase("Blocked by policy", host);
  }
}

}  // namespace

Page refusal_page(const policy::Policy& policy, const policy::FlowFacts& facts, const policy::Decision& decision,
                  int status, PageForm form) {
  Page page{status, policy::to_string(decision.reason)};
  page.phrase = phrase_for(facts, decision);
  page.proxy_status = proxy_status(proxy_error(decision.reason), policy::reason_and_remedy(policy, facts, decision));
  if (form.one_line) page.message = policy::refusal_message(policy, facts, decision);
  if (form.body == BodyForm::kJson) {
    page.content_type = "application/problem+json";
    page.body = policy::refusal_json(policy, facts, decision, status);
    return page;
  }
  page.body = policy::refusal_page(policy, facts, decision);
  page.body += kWhereToLook;
  return page;
}

int upstream_status(policy::Reason reason) {
  return reason == policy::Reason::kTimedOut ? 504 : 502;
}

Page dial_failure_page(const policy::Policy& policy, const policy::FlowFacts& facts, const policy::Decision& decision,
                       const std::string& host, const flow::DialFailure& failure, PageForm form) {
  const int status = upstream_status(failure.reason);
  if (policy::is_refused_address(failure.reason)) return refusal_page(policy, facts, decision, status, form);
  const UpstreamFault fault{failure.reason, proxy_error(failure), host, failure.message};
  return upstream_page(status, fault, form.body);
}

}  // namespace soleroute::gateway::http
