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
  // One stream on its way through: what its log record says.
  struct Progress;

  void begin(std::shared_ptr<http2::Stream> stream);
  [[nodiscard]] boost::asio::awaitable<void> serve(std::shared_ptr<http2::Stream> stream);
  [[nodiscard]] boost::asio::awaitable<void> decide(Progress& progress);
  [[nodiscard]] boost::asio::awaitable<void> answer_about_ourselves(Progress& progress, const policy::Policy& policy);
  [[nodiscard]] boost::asio::awaitable<void> refuse(Progress& progress, const policy::Policy& policy,
                                                    const policy::FlowFacts& facts);
  [[nodiscard]] boost::asio::awaitable<void> forward(Progress& progress, const policy::Policy& policy,
                                                     const policy::FlowFacts& facts);
  [[nodiscard]] boost::asio::awaitable<std::expected<StreamResult, flow::DialFailure>> ask_origin(Progress& progress);
  [[nodiscard]] boost::asio::awaitable<void> answer_dial_failure(Progress& progress, const policy::Policy& policy,
                                                                 const policy::FlowFacts& facts,
                                                                 flow::DialFailure failure);
  [[nodiscard]] boost::asio::awaitable<void> finish(Progress& progress, StreamResult result);
  [[nodiscard]] boost::asio::awaitable<void> answer(Progress& progress, Page page);
  [[nodiscard]] flow::Registry::Entry registered(Progress& progress);
  [[nodiscard]] policy::FlowFacts facts_of(const Request& request) const;
  [[nodiscard]] bool still_allowed(const policy::Policy& policy) const;
  [[nodiscard]] audit::DecisionRecord new_record() const;
  void log_fault(policy::Reason reason, std::string_view why);
  void log(Progress& progress, bool allowed);

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
