// One client connection that speaks HTTP/1: its requests one after another, each decided, answered and logged.
// Serves redirected connections, the explicit proxy and the inside of inspected TLS alike. Runs on its worker's thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "gateway/flow/connector.h"
#include "gateway/flow/context.h"
#include "gateway/flow/registry.h"
#include "gateway/http/h1/buffer.h"
#include "gateway/http/h1/exchange.h"
#include "gateway/http/h1/upstream.h"
#include "gateway/http/header_injection.h"
#include "gateway/http/origin.h"
#include "gateway/http/page.h"
#include "policy/policy.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::http::h1 {

inline constexpr std::chrono::milliseconds kIdleKeepAlive{60000};  // between two requests

enum class Entrance : std::uint8_t { kRedirected, kExplicitProxy, kInspected };

// A CONNECT that the explicit proxy's owner has to answer.
struct ConnectAsked {
  sniffer::Authority authority;  // `text` is not to be used: its bytes are gone
  bool http11 = true;
  bool wants_json = false;
};

class Session {
 public:
  Session(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read, Entrance entrance);
  // Behind terminated TLS: every request must be for client.name, and goes to a connection of `origins`, which outlives
  // this; `first` is one.
  Session(flow::Context& context, InspectedClient client, OriginSource& origins, std::optional<OriginConnection> first);

  // Until the connection is over, or until CONNECT came through the explicit proxy's entrance.
  [[nodiscard]] boost::asio::awaitable<std::optional<ConnectAsked>> run();

  // Has any request been answered or refused, and so been logged?
  [[nodiscard]] bool has_logged() const { return logged_; }

  // After CONNECT: the connection, and what was sent behind the head.
  [[nodiscard]] flow::ClientConnection take_client();
  [[nodiscard]] flow::ReadAhead take_received();

 private:
  enum class Next : std::uint8_t { kGoOn, kOver };
  struct Fault {
    int status = 0;  // 0: nobody is there to be told
    policy::Reason reason = policy::Reason::kMalformed;
    std::string_view text;
  };
  // A request on its way through: what its one log record says. One for all requests, so that its strings are reused.
  struct Progress {
    audit::DecisionRecord record;
    net::Clock::time_point started;
    policy::Decision decision;              // borrows from the snapshot that serve() holds
    std::vector<InjectedField> injected{};  // likewise; what the policy sets on this request
    flow::DialFailure failure;
  };

  [[nodiscard]] net::Stream& stream() { return *client_.stream; }
  [[nodiscard]] bool inspected() const { return entrance_ == Entrance::kInspected; }
  [[nodiscard]] policy::Scheme scheme() const { return inspected() ? policy::Scheme::kHttps : policy::Scheme::kHttp; }
  [[nodiscard]] std::uint16_t default_port() const { return inspected() ? 443 : 80; }
  void enter_registry();
  [[nodiscard]] boost::asio::awaitable<std::expected<sniffer::RequestHead, Fault>> read_head();
  [[nodiscard]] boost::asio::awaitable<Next> serve(const sniffer::RequestHead& head);
  [[nodiscard]] std::optional<Fault> unfit(const sniffer::RequestHead& head) const;
  [[nodiscard]] bool meant_for_a_server(const sniffer::RequestHead& head) const;
  [[nodiscard]] boost::asio::awaitable<Next> refuse(const sniffer::RequestHead& head, const policy::Policy& policy,
                                                    const policy::FlowFacts& facts);
  [[nodiscard]] boost::asio::awaitable<Next> answer(const sniffer::RequestHead& head, Page page, bool allowed);
  [[nodiscard]] boost::asio::awaitable<Next> refuse_injection(const sniffer::RequestHead& head,
                                                              const policy::Policy& policy,
                                                              const policy::FlowFacts& facts, InjectionFault fault);
  [[nodiscard]] boost::asio::awaitable<Next> forward(const sniffer::RequestHead& head, const policy::Policy& policy,
                                                     const policy::FlowFacts& facts);
  [[nodiscard]] bool can_reuse_upstream();
  [[nodiscard]] boost::asio::awaitable<bool> dial();
  [[nodiscard]] boost::asio::awaitable<std::expected<std::unique_ptr<net::Stream>, flow::DialFailure>> dialled();
  [[nodiscard]] boost::asio::awaitable<Next> answer_dial_failure(const sniffer::RequestHead& head,
                                                                 const policy::Policy& policy,
                                                                 const policy::FlowFacts& facts);
  void finish(ExchangeResult& result);
  [[nodiscard]] boost::asio::awaitable<void> answer_fault(Fault fault);
  [[nodiscard]] boost::asio::awaitable<Next> switch_protocols();
  [[nodiscard]] policy::FlowFacts facts_of(const sniffer::RequestHead& head, const std::string& target) const;
  [[nodiscard]] Outgoing outgoing_of(const sniffer::RequestHead& head) const;
  [[nodiscard]] bool still_allowed(const policy::Policy& policy) const;
  void remember(const sniffer::RequestHead& head);
  void begin_record(const sniffer::RequestHead& head);
  void log(bool allowed);

  flow::Context& context_;
  flow::ClientConnection client_;
  ReadBuffer received_;
  Entrance entrance_;
  std::optional<base::HostName> sni_;  // of inspected TLS
  OriginSource* origins_ = nullptr;    // likewise
  Upstream upstream_;
  std::weak_ptr<const policy::Policy> upstream_policy_;  // in force when it was dialled
  Request request_;                                      // the current or the last one
  Progress progress_;
  std::optional<base::HostName> host_;
  std::uint16_t port_ = 0;
  std::uint32_t served_ = 0;
  bool first_ = true;
  bool awaited_ = false;  // the request under way was waited for, with nothing left unread before
  bool logged_ = false;
  flow::Registry::Entry entry_;
};

}  // namespace soleroute::gateway::http::h1
