// One request from its head to its log record, whichever version of HTTP carries it: what is asked, what the policy
// answers, the page that the gateway answers with itself, and how it ended. Sessions read heads, write pages and move
// bodies.
// Plain state: no coroutine, no socket. One for all requests of an HTTP/1 connection, or for one HTTP/2 stream.
// Used on its worker's thread; borrows the context and the client.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/audit/decision_log.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/context.h"
#include "gateway/http/header_injection.h"
#include "gateway/http/outcome.h"
#include "gateway/http/page.h"
#include "gateway/http/refusal_page.h"
#include "gateway/net/deadline_wheel.h"
#include "policy/policy.h"

namespace soleroute::gateway::http {

// Why a request is not even decided, or cannot be carried out, and the status to say so with.
struct Fault {
  int status = 400;  // 0: the client is gone
  policy::Reason reason = policy::Reason::kMalformed;
  std::string_view text;
};

// What a head asks for. Its texts are borrowed until the next begin() or await_next().
struct AskedRequest {
  std::optional<base::HostName> host{};
  std::optional<base::IpAddress> host_address{};
  std::string_view host_text{};  // as sent
  std::uint16_t port = 0;
  bool secure = false;  // an https URL in clear: the gateway fetches it over TLS
  std::string_view method{};
  std::string_view target{};  // origin-form
  policy::OverrideHeaders overrides{};
  PageForm form{};
};

class RequestFlow {
 public:
  // `sni`: of terminated TLS. `redirected`: the client was going to its original destination.
  RequestFlow(flow::Context& context, const flow::ClientConnection& client, std::optional<base::HostName> sni,
              bool redirected);

  // A head has come. What begins is finished once: by finish() after decide() and inject() gave no page, otherwise by
  // finish_page().
  void begin(AskedRequest asked);
  // None came that could be read: only fault() may follow.
  void begin_unread();

  // To the address of a denied name, on a port that is not the web's: decide() has a page for every request.
  [[nodiscard]] bool leads_to_denied_port() const;
  // The page to answer with; nothing: the request may be forwarded once inject() has had its say.
  [[nodiscard]] std::optional<Page> decide();
  // After decide() gave a page: may the request wait for an operator? See ask_operator.h.
  [[nodiscard]] bool may_be_held() const;
  // It waits, and no reload ends it meanwhile; until let_go() or decide_again().
  void hold() { held_ = true; }
  void let_go() { held_ = false; }
  // As decide(), under this policy; `once`: which is for this request alone.
  [[nodiscard]] std::optional<Page> decide_again(std::shared_ptr<const policy::Policy> policy, bool once);
  [[nodiscard]] bool passes(const policy::Policy& policy) const;
  [[nodiscard]] const audit::DecisionRecord& record() const { return record_; }
  // `own`: the request's header fields. Nothing: forward it, with the fields of injected() in their place.
  template <class Fields>
  [[nodiscard]] std::optional<Page> inject(const Fields& own) {
    auto injected = prepare_injection(decision_, own, context_.secrets);
    if (!injected) return refuse(std::move(injected.error()));
    injected_ = std::move(*injected);
    return std::nullopt;
  }
  [[nodiscard]] Page fault(const Fault& fault);
  [[nodiscard]] Page dial_failed(const flow::DialFailure& failure);

  // Writes the record and the counters. Of a page: `bytes` of it go to the client.
  void finish_page(std::uint64_t bytes);
  // Of a request that decide() let through. The page to answer with, if it failed and is answerable.
  std::optional<Page> finish(Outcome outcome);
  // What was asked is over, and the connection waits for the next request.
  void await_next();

  // Where the connection for the requests leads; nothing: to a proxy.
  void connected_to(std::optional<base::IpAddress> address) { leads_to_ = address; }
  // A request under way, or what it has become, is asked about as it is; a connection between requests for its host.
  [[nodiscard]] bool still_allowed(const policy::Policy& policy) const;

  // Borrowed from the snapshot that decide() has asked; until finish.
  [[nodiscard]] const policy::Decision& decision() const { return decision_; }
  [[nodiscard]] std::span<const InjectedField> injected() const { return injected_; }
  [[nodiscard]] flow::DialRequest dial_request() const;
  // The address that an allowed request names in the place of a host.
  [[nodiscard]] const std::optional<base::IpAddress>& address() const { return facts_.host_address; }
  [[nodiscard]] const base::IpAddress& client() const { return facts_.client; }
  // Of the newest request; before one, what TLS asked for.
  [[nodiscard]] const std::optional<base::HostName>& host() const { return facts_.host; }
  [[nodiscard]] std::uint16_t port() const { return facts_.port; }
  [[nodiscard]] const std::optional<base::HostName>& sni() const { return facts_.sni; }
  // Of a request that names none: the connection's, or that of http where a proxy's client names its host.
  [[nodiscard]] std::uint16_t default_port() const { return default_port_; }
  // Has any request been logged?
  [[nodiscard]] bool has_logged() const { return logged_; }

 private:
  [[nodiscard]] Page refusal(int status);
  [[nodiscard]] Page refuse_denied_port();
  [[nodiscard]] Page refuse(InjectionFault fault);
  void deny(policy::Reason reason, std::string detail);
  [[nodiscard]] bool is_for_the_gateway() const;
  [[nodiscard]] bool leads_to_denied(const policy::Policy& policy) const;
  [[nodiscard]] policy::Decision ask(const policy::Policy& policy) const;
  [[nodiscard]] std::optional<Page> decide_by_policy();
  void begin_record(std::string_view host_text);
  void write();

  flow::Context& context_;
  const flow::ClientConnection& client_;
  bool redirected_;
  bool proxied_;  // to a proxy that the client knows of, not inside TLS
  std::uint16_t default_port_;
  bool logged_ = false;
  bool upstream_failed_ = false;
  bool held_ = false;
  PageForm form_{};
  std::optional<base::IpAddress> leads_to_{};
  policy::FlowFacts facts_;
  audit::DecisionRecord record_;
  net::Clock::time_point started_;
  std::shared_ptr<const policy::Policy> policy_;  // that decided
  std::shared_ptr<const policy::Policy> once_;    // the same, where it is for this request alone
  policy::Decision decision_;
  std::vector<InjectedField> injected_;
};

}  // namespace soleroute::gateway::http
