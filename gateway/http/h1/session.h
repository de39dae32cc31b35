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
#include "gateway/http/origin.h"
#include "gateway/http/page.h"
#include "gateway/http/request_flow.h"
#include "policy/policy.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::http::h1 {

inline constexpr std::chrono::milliseconds kIdleKeepAlive{std::chrono::minutes(60)};  // between two requests

// Makes what reaches the host of an https URL that a client asks the explicit proxy for.
using OriginSourceFor = std::unique_ptr<OriginSource> (*)(flow::Context& context, const flow::ClientConnection& client,
                                                          base::HostName name);

enum class Entrance : std::uint8_t { kRedirected, kExplicitProxy, kInspected };

// A CONNECT that the explicit proxy's owner has to answer.
struct ConnectAsked {
  sniffer::Authority authority;  // `text` is not to be used: its bytes are gone
  bool http11 = true;
  BodyForm form = BodyForm::kText;
};

class Session {
 public:
  Session(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read, Entrance entrance);
  // The explicit proxy, where `secure` fetches https URLs.
  Session(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read, OriginSourceFor secure);
  // Behind terminated TLS: every request must be for client.name, and goes to a connection of `origins`, which outlives
  // this; `first` is one.
  Session(flow::Context& context, InspectedClient client, OriginSource& origins, std::optional<OriginConnection> first);

  // Until the connection is over, or until CONNECT came through the explicit proxy's entrance.
  [[nodiscard]] boost::asio::awaitable<std::optional<ConnectAsked>> run();

  // Has any request been answered or refused, and so been logged?
  [[nodiscard]] bool has_logged() const { return flow_.has_logged(); }

  // After CONNECT: the connection, and what was sent behind the head.
  [[nodiscard]] flow::ClientConnection take_client();
  [[nodiscard]] flow::ReadAhead take_received();

 private:
  enum class Next : std::uint8_t { kGoOn, kOver };

  [[nodiscard]] net::Stream& stream() const { return *client_.stream; }
  void enter_registry();
  [[nodiscard]] std::expected<std::optional<sniffer::RequestHead>, Fault> head_in(std::size_t& parsed_size) const;
  [[nodiscard]] boost::asio::awaitable<std::expected<sniffer::RequestHead, Fault>> read_head();
  [[nodiscard]] boost::asio::awaitable<std::optional<ConnectAsked>> connect_asked(const sniffer::RequestHead& head);
  [[nodiscard]] boost::asio::awaitable<Next> serve(const sniffer::RequestHead& head);
  void begin(const sniffer::RequestHead& head);
  [[nodiscard]] std::optional<Fault> unfit(const sniffer::RequestHead& head) const;
  [[nodiscard]] std::optional<Fault> not_to_be_sent(const sniffer::RequestHead& head) const;
  [[nodiscard]] bool meant_for_a_server(const sniffer::RequestHead& head) const;
  [[nodiscard]] boost::asio::awaitable<Next> answer(const sniffer::RequestHead& head, Page page);
  [[nodiscard]] boost::asio::awaitable<Next> forward(const sniffer::RequestHead& head);
  [[nodiscard]] bool can_reuse_upstream();
  [[nodiscard]] std::string origin_key() const;
  [[nodiscard]] std::optional<Fault> unfit_for_the_proxy(const sniffer::RequestHead& head) const;
  [[nodiscard]] boost::asio::awaitable<std::optional<flow::DialFailure>> dial();
  [[nodiscard]] boost::asio::awaitable<std::expected<flow::Dialled, flow::DialFailure>> dialled();
  [[nodiscard]] boost::asio::awaitable<std::expected<flow::Dialled, flow::DialFailure>> dialled_by(
      OriginSource& origins);
  [[nodiscard]] boost::asio::awaitable<void> answer_fault(Fault fault);
  [[nodiscard]] boost::asio::awaitable<void> answer_last(Page page);
  [[nodiscard]] boost::asio::awaitable<Next> switch_protocols();
  [[nodiscard]] Outgoing outgoing_of(const sniffer::RequestHead& head) const;

  flow::Context& context_;
  flow::ClientConnection client_;
  ReadBuffer received_;
  Entrance entrance_;
  OriginSource* origins_ = nullptr;   // of inspected TLS
  OriginSourceFor secure_ = nullptr;  // of https URLs
  Upstream upstream_;
  std::weak_ptr<const void> upstream_policy_;  // in force when it was dialled
  Request request_;                            // the current or the last one
  bool secure_url_ = false;                    // of it
  RequestFlow flow_;
  std::uint32_t served_ = 0;
  bool first_ = true;
  bool awaited_ = false;  // the request under way was waited for, with nothing left unread before
  bool revoked_ = false;  // a reload has closed the connection
  flow::Registry::Entry entry_;
};

}  // namespace soleroute::gateway::http::h1
