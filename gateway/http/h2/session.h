// One client connection that speaks HTTP/2 inside inspected TLS: each stream decided, answered and logged for itself.
// Runs on its worker's thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "gateway/flow/registry.h"
#include "gateway/http/h2/exchange.h"
#include "gateway/http/h2/exchange_over_http1.h"
#include "gateway/http/h2/origins.h"
#include "gateway/http/h2/request.h"
#include "gateway/http/origin.h"
#include "gateway/http/page.h"
#include "gateway/http/request_flow.h"
#include "gateway/http2/connection.h"
#include "gateway/net/event.h"

namespace soleroute::gateway::http::h2 {

class Session {
 public:
  Session(flow::Context& context, InspectedClient client, OriginSource& origins, std::optional<OriginConnection> first);

  // Until the connection and all of its streams are over.
  [[nodiscard]] boost::asio::awaitable<void> run();
  // Has any stream been answered or refused, and so been logged?
  [[nodiscard]] bool has_logged() const { return logged_; }

 private:
  // One stream on its way through.
  struct Exchange;

  [[nodiscard]] RequestFlow new_flow() const;
  void begin(std::shared_ptr<http2::Stream> stream);
  [[nodiscard]] boost::asio::awaitable<void> serve(std::shared_ptr<http2::Stream> stream);
  [[nodiscard]] boost::asio::awaitable<std::optional<Page>> decide(Exchange& exchange);
  [[nodiscard]] boost::asio::awaitable<void> forward(Exchange& exchange);
  [[nodiscard]] boost::asio::awaitable<std::expected<StreamResult, flow::DialFailure>> ask_origin(Exchange& exchange);
  [[nodiscard]] boost::asio::awaitable<void> finish(Exchange& exchange, Outcome outcome);
  [[nodiscard]] boost::asio::awaitable<void> answer(Exchange& exchange, Page page);
  [[nodiscard]] flow::Registry::Entry registered(Exchange& exchange);
  void log_fault(policy::Reason reason, std::string_view why);

  flow::Context& context_;
  InspectedClient client_;
  http2::Connection connection_;
  Origins origins_;
  AnswerBudget answers_;
  net::Event stream_ended_;
  bool logged_ = false;
  std::size_t live_ = 0;  // streams being served, also those that the client has given up
  flow::Registry::Entry entry_;
};

}  // namespace soleroute::gateway::http::h2
