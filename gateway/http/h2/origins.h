// The origin connections of one HTTP/2 client: one of HTTP/2 that all its streams share, or one of HTTP/1 for each
// stream. Nothing is shared with other clients.
// Not thread-safe: belongs to one worker. Must outlive its connections: end() before it is destroyed.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "gateway/http/origin.h"
#include "gateway/http2/connection.h"
#include "gateway/net/event.h"

namespace soleroute::gateway::http::h2 {

class Origins {
 public:
  // Where one request goes: exactly one of them is set.
  struct Route {
    std::shared_ptr<http2::Connection> shared;
    std::optional<OriginConnection> own;  // HTTP/1: given back or dropped after the request
  };

  // `websockets`: an origin has said that it takes them (RFC 8441).
  Origins(flow::Context& context, OriginSource& source, std::optional<OriginConnection> first,
          std::function<void()> websockets);

  [[nodiscard]] boost::asio::awaitable<std::expected<Route, flow::DialFailure>> route();
  void give_back(OriginConnection connection) { source_.give_back(std::move(connection)); }

  void close();
  [[nodiscard]] boost::asio::awaitable<void> end();  // closes, and waits until all is over

 private:
  struct Shared;

  Route take(OriginConnection connection);
  void run(const std::shared_ptr<Shared>& shared);
  [[nodiscard]] std::shared_ptr<http2::Connection> sharing() const;

  flow::Context& context_;
  OriginSource& source_;
  std::optional<OriginConnection> first_;
  std::function<void()> websockets_;
  std::vector<std::shared_ptr<Shared>> shared_;  // running
  net::Event ended_;
  std::vector<net::Event*> waiting_;  // for the dial in progress
  bool dialling_ = false;
  bool http1_ = false;  // what the origin chose the last time
  bool closed_ = false;
};

}  // namespace soleroute::gateway::http::h2
