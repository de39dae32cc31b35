// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/request_flow.h"

#include <chrono>

#include "base/web_ports.h"
#include "gateway/audit/decision_record.h"
#include "gateway/flow/held_requests.h"
#include "gateway/flow/refusal.h"
#include "gateway/http/internal_site.h"
#include "gateway/http/proxy_status.h"
#include "policy/observe.h"

namespace soleroute::gateway::http {
namespace {

using policy::Reason;

}  // namespace

RequestFlow::RequestFlow(flow::Context& context, const flow::ClientConnection& client,
                         std::optional<base::HostName> sni, bool redirected)
    : context_(context),
      client_(client),
      redirected_(redirected && client.destination()),
      proxied_(!redirected),
      default_port_(sni || redirected ? client.original_destination.port : base::kHttpPort) {
  if (default_port_ == 0) default_port_ = sni ? base::kHttpsPort : base::kHttpPort;
  facts_.phase = policy::Phase::kHttp;
  facts_.client = client.peer.address;
  facts_.sni = std::move(sni);
  facts_.host = facts_.sni;
  facts_.scheme = facts_.sni ? policy::Scheme::kHttps : policy::Scheme::kHttp;
  facts_.port = default_port();
}

void RequestFlow::begin(AskedRequest asked) {
  form_ = asked.form;
  facts_.host = std::move(asked.host);
  facts_.host_address = asked.host_address;
  facts_.port = asked.port;
  facts_.scheme = asked.secure || facts_.sni ? policy::Scheme::kHttps : policy::Scheme::kHttp;
  facts_.method = asked.method;
  facts_.target = asked.target;
  facts_.overrides = asked.overrides;
  begin_record(asked.host_text);
  // No endpoint leads on from the gateway's own address.
  if (facts_.host_address && context_.is_own(client_.original_destination.address)) {
    facts_.original_destination.reset();
  }
}

void RequestFlow::begin_unread() {
  await_next();
  form_ = {};
  facts_.host = facts_.sni;
  facts_.host_address.reset();
  facts_.port = redirected_ || facts_.sni ? default_port() : 0;
  begin_record({});
}

void RequestFlow::begin_record(std::string_view host_text) {
  started_ = net::Clock::now();
  upstream_failed_ = false;
  if (redirected_) facts_.original_destination = client_.original_destination;
  audit::set_facts(record_, facts_);
  if (!facts_.host && !host_text.empty()) record_.host = host_text;
  audit::set_decision(record_, {});
  record_.detail.clear();
  record_.status.reset();
  record_.bytes_in.reset();
  record_.bytes_out.reset();
}

// Its own name, on the web's ports, and not inside TLS for another: decided before any policy is asked.
bool RequestFlow::is_for_the_gateway() const {
  return is_own_name(facts_.host) && base::is_web_port(facts_.port) && (!facts_.sni || facts_.sni == facts_.host);
}

bool RequestFlow::leads_to_denied_port() const {
  const auto& destination = client_.original_destination;
  return redirected_ && !base::is_web_port(destination.port) && context_.names.is_denied(destination.address);
}

// An address in a URL for the proxy is what `endpoints:` list, as in CONNECT.
policy::Decision RequestFlow::ask(const policy::Policy& policy) const {
  auto decision = policy.decide(facts_);
  const bool addressed = proxied_ && !facts_.host && facts_.host_address && facts_.scheme == policy::Scheme::kHttp;
  if (!addressed) return decision;
  auto facts = facts_;
  facts.phase = policy::Phase::kConnect;
  facts.original_destination = base::Endpoint{*facts_.host_address, facts_.port};
  const auto as_endpoint = policy.decide(facts);
  const bool says_more = as_endpoint.allowed() || as_endpoint.reason == Reason::kDeniedByPolicy;
  return says_more ? as_endpoint : decision;
}

// Whatever is asked for, the denied name and this port were meant.
Page RequestFlow::refuse_denied_port() {
  const auto& destination = client_.original_destination;
  if (auto name = context_.names.looked_up_as(facts_.client, destination.address)) facts_.host = std::move(name);
  facts_.host_address.reset();
  facts_.original_destination.reset();
  facts_.port = destination.port;
  audit::set_facts(record_, facts_);
  decision_ = {.action = policy::Action::kDeny, .reason = Reason::kEndpointNotAllowed};
  audit::set_decision(record_, decision_);
  record_.detail = audit::kOwnAddress;
  return refusal(403);
}

std::optional<Page> RequestFlow::decide() {
  policy_ = context_.policy_for(facts_.client);  // the decision borrows from it
  if (leads_to_denied_port()) return refuse_denied_port();
  if (is_for_the_gateway()) {
    if (!net::has_room(client_.stream->buffers())) {
      Page page = fault({503, Reason::kTooLarge, flow::kNoRoom});
      page.closes = true;
      return page;
    }
    audit::set_decision(record_, {.action = policy::Action::kAllow, .reason = Reason::kAllowed});
    record_.detail = audit::kOwnAddress;
    Page page = internal_site_page(context_, *policy_,
                                   {*facts_.method, *facts_.target, facts_.client, form_.body == BodyForm::kJson});
    record_.status = page.status;
    return page;
  }
  return decide_by_policy();
}

std::optional<Page> RequestFlow::decide_by_policy() {
  decision_ = ask(*policy_);
  audit::set_decision(record_, decision_);
  // Where no host is named, observe lets nothing pass: there is nothing to dial.
  const bool dialled = facts_.host || decision_.allowed();
  if (dialled && policy::may_pass(*policy_, decision_)) return std::nullopt;
  // Inside TLS, allowed or not elsewhere: this connection is not the one for it (RFC 9110 section 15.5.20).
  return refusal(facts_.sni && decision_.reason == Reason::kNameMismatch ? 421 : 403);
}

bool RequestFlow::may_be_held() const {
  const bool asked = context_.held != nullptr && !client_.self_check && !client_.was_held;
  return asked && facts_.host && !is_own_name(facts_.host) && !leads_to_denied_port() && flow::may_be_asked(decision_);
}

std::optional<Page> RequestFlow::decide_again(std::shared_ptr<const policy::Policy> policy, bool once) {
  held_ = false;
  policy_ = std::move(policy);
  if (once) once_ = policy_;
  record_.status.reset();
  return decide_by_policy();
}

bool RequestFlow::passes(const policy::Policy& policy) const {
  return policy::may_pass(policy, ask(policy));
}

Page RequestFlow::refusal(int status) {
  record_.status = status;
  return refusal_page(*policy_, facts_, decision_, status, form_);
}

// What the policy allows, and still cannot be.
void RequestFlow::deny(Reason reason, std::string detail) {
  decision_.action = policy::Action::kDeny;
  decision_.reason = reason;
  audit::set_decision(record_, decision_);
  record_.detail = std::move(detail);
}

// The policy sets headers that cannot be set.
Page RequestFlow::refuse(InjectionFault fault) {
  deny(fault.reason, std::move(fault.detail));
  return refusal(fault.status);
}

Page RequestFlow::fault(const Fault& fault) {
  record_.allowed = false;
  record_.reason = policy::to_string(fault.reason);
  record_.detail = fault.text;
  if (fault.status != 0) record_.status = fault.status;
  return fault_page(fault.status, fault.reason, fault.text, form_.body);
}

Page RequestFlow::dial_failed(const flow::DialFailure& failure) {
  upstream_failed_ = true;
  if (decision_.allowed()) decision_.refused_address = failure.refused_address;  // of others, agents are told nothing
  if (failure.reason == Reason::kDeniedByPolicy) {  // the entry that denies the address, for the page
    facts_.dialled = failure.refused_address;
    decision_ = policy_->decide(facts_);
  }
  deny(failure.reason, failure.message);
  Page page = dial_failure_page(*policy_, facts_, decision_, record_.host, failure, form_);
  record_.status = page.status;
  return page;
}

void RequestFlow::finish_page(std::uint64_t bytes) {
  if (bytes != 0) record_.bytes_out = bytes;
  write();
}

std::optional<Page> RequestFlow::finish(Outcome outcome) {
  if (outcome.revoked) {  // what went wrong then is the reload's doing
    outcome.failure = Reason::kAllowed;
    outcome.detail = "ended: a new policy denies it";
  }
  const bool failed = outcome.failure != Reason::kAllowed;
  upstream_failed_ = outcome.failure == Reason::kUpstreamFailed;
  std::optional<Page> page;
  if (outcome.status != 0) record_.status = outcome.status;
  if (failed && outcome.answerable) {
    record_.status = upstream_status(outcome.failure);
    const UpstreamFault fault{outcome.failure, response_error(outcome.failure), record_.host, outcome.detail};
    page = upstream_page(*record_.status, fault, form_.body);
  }
  record_.bytes_in = outcome.from_client;
  record_.bytes_out = outcome.to_client;
  if (!outcome.detail.empty()) record_.detail = std::move(outcome.detail);
  if (outcome.failure == Reason::kMalformed) {
    record_.allowed = false;
    record_.reason = policy::to_string(outcome.failure);
  } else {
    audit::set_passed(record_, decision_);
  }
  write();
  return page;
}

void RequestFlow::write() {
  logged_ = true;
  const auto elapsed = net::Clock::now() - started_;
  record_.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count();
  ++context_.counters.http_requests;
  if (upstream_failed_) ++context_.counters.upstream_failures;
  context_.counters.bytes_in += record_.bytes_in.value_or(0);
  context_.counters.bytes_out += record_.bytes_out.value_or(0);
  audit::write(context_.log, context_.counters, record_);
  decision_ = {};
  injected_.clear();
  policy_.reset();
  once_.reset();
}

void RequestFlow::await_next() {
  facts_.method.reset();
  facts_.target.reset();
  facts_.overrides = {};
  facts_.dialled.reset();
}

bool RequestFlow::leads_to_denied(const policy::Policy& policy) const {
  auto facts = facts_;
  facts.dialled = leads_to_;
  return leads_to_ && policy.decide(facts).reason == Reason::kDeniedByPolicy;
}

bool RequestFlow::still_allowed(const policy::Policy& policy) const {
  const bool named = facts_.host || (proxied_ && facts_.host_address);
  if (held_ || !named || is_own_name(facts_.host)) return true;
  if (leads_to_denied(policy)) return false;
  const auto decision = ask(policy);
  if (policy::may_pass(policy.for_client(facts_.client), decision)) return true;
  // What an operator granted outlives reloads, but for a line that denies it.
  return once_ && flow::may_be_asked(decision) && passes(*once_);
}

flow::DialRequest RequestFlow::dial_request() const {
  auto request = flow::dial_request(decision_, *facts_.host, facts_.port, facts_.client);
  if (redirected_) request.preferred = client_.original_destination.address;
  return request;
}

}  // namespace soleroute::gateway::http
