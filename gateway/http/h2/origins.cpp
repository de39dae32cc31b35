// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h2/origins.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <utility>

namespace soleroute::gateway::http::h2 {

namespace asio = boost::asio;

// Its connection, with the stream that the connection borrows.
struct Origins::Shared {
  Shared(flow::Context& context, OriginConnection origin, http2::Session::Events events)
      : stream(std::move(origin.stream)),
        policy(context.policy_identity()),
        connection(context.io.get_executor(), *stream, http2::Role::kClient, std::move(events)) {}

  std::unique_ptr<net::Stream> stream;
  std::weak_ptr<const void> policy;  // under which it was dialled and verified: not used under another
  http2::Connection connection;
};

Origins::Origins(flow::Context& context, OriginSource& source, std::optional<OriginConnection> first,
                 std::function<void()> websockets)
    : context_(context),
      source_(source),
      first_(std::move(first)),
      websockets_(std::move(websockets)),
      ended_(context.io.get_executor()) {
  if (!first_ || first_->version != HttpVersion::kHttp2) return;
  (void)take(std::move(*first_));  // its settings say what may be offered to the client
  first_.reset();
}

std::shared_ptr<http2::Connection> Origins::sharing() const {
  for (const auto& shared : shared_) {
    if (context_.is_in_force(shared->policy) && shared->connection.session().takes_requests())
      return {shared, &shared->connection};
  }
  return nullptr;
}

Origins::Route Origins::take(OriginConnection connection) {
  http1_ = connection.version == HttpVersion::kHttp1;
  if (http1_) return {nullptr, std::move(connection)};
  struct Told {
    std::weak_ptr<Shared> shared;
  };
  const auto told = std::make_shared<Told>();
  http2::Session::Events events;
  events.settings = [this, told] {
    const auto shared = told->shared.lock();
    if (shared != nullptr && shared->connection.session().peer_takes_websockets()) websockets_();
  };
  const auto shared = std::make_shared<Shared>(context_, std::move(connection), std::move(events));
  told->shared = shared;
  shared_.push_back(shared);
  run(shared);
  return {{shared, &shared->connection}, std::nullopt};
}

void Origins::run(const std::shared_ptr<Shared>& shared) {
  auto task = shared->connection.run();
  asio::co_spawn(context_.io, std::move(task), [this, shared](const std::exception_ptr&) {
    std::erase(shared_, shared);
    ended_.set();
  });
}

asio::awaitable<std::expected<Origins::Route, flow::DialFailure>> Origins::route() {
  const flow::DialFailure too_late{policy::Reason::kUpstreamFailed, "the client is gone"};
  if (closed_) co_return std::unexpected(too_late);
  if (auto connection = sharing()) co_return Route{std::move(connection), std::nullopt};
  if (first_) {
    auto first = std::move(*first_);
    first_.reset();
    co_return take(std::move(first));
  }
  // One dials and shares; where the origin speaks HTTP/1, each dials for itself.
  while (dialling_ && !http1_) {
    net::Event event(context_.io.get_executor());
    waiting_.push_back(&event);
    co_await event.wait();
    std::erase(waiting_, &event);
    if (auto connection = sharing()) co_return Route{std::move(connection), std::nullopt};
  }
  dialling_ = true;
  std::vector<HttpVersion> offered{HttpVersion::kHttp2, HttpVersion::kHttp1};
  auto connected = co_await source_.connect(std::move(offered));
  dialling_ = false;
  auto routed =
      connected ? std::expected<Route, flow::DialFailure>(Route{}) : std::unexpected(std::move(connected.error()));
  if (connected && closed_) routed = std::unexpected(too_late);
  if (routed) routed = take(std::move(*connected));
  for (net::Event* const event : waiting_) event->set();
  co_return routed;
}

void Origins::close() {
  closed_ = true;
  first_.reset();
  for (const auto& shared : shared_) shared->connection.close();
}

asio::awaitable<void> Origins::end() {
  close();
  while (!shared_.empty()) co_await ended_.wait();
}

}  // namespace soleroute::gateway::http::h2
