// An inspected HTTP/2 client, the flow that serves it and origins of either version, on one loop and over real sockets;
// the test plays client and origins.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <string>
#include <vector>

#include "gateway/dns/cache.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/pipe_pool.h"
#include "gateway/flow/policy_in_force.h"
#include "gateway/flow/registry.h"
#include "gateway/http/h2/session.h"
#include "gateway/http/origin.h"
#include "gateway/http2/connection.h"
#include "tests/support/await.h"
#include "tests/support/recording_log.h"
#include "tests/support/socket_pair.h"

namespace soleroute::gateway::http::h2 {

// One HTTP/2 end in the test's hands.
struct Http2End {
  Http2End(boost::asio::io_context& io, net::DeadlineWheel& wheel, base::Fd socket, http2::Role role)
      : stream(io, wheel, std::move(socket)), connection(io.get_executor(), stream, role, events()) {
    auto run = connection.run();
    boost::asio::co_spawn(io, std::move(run), [this](const std::exception_ptr&) { ended = true; });
  }
  http2::Session::Events events() {
    return {.request = [this](std::shared_ptr<http2::Stream> asked) { requests.push_back(std::move(asked)); },
            .refused = {},
            .settings = {},
            .wake = {}};
  }

  std::vector<std::shared_ptr<http2::Stream>> requests;
  net::TcpStream stream;
  http2::Connection connection;
  bool ended = false;
};

// An HTTP/1 origin's connection in the test's hands.
struct Http1End {
  explicit Http1End(base::Fd fd) : socket(std::move(fd)) { ::fcntl(socket.get(), F_SETFL, O_NONBLOCK); }
  const std::string& read() {
    char buffer[65536];
    for (ssize_t count = 1; count > 0;) {
      count = ::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (count > 0) received.append(buffer, static_cast<std::size_t>(count));
      gone = gone || count == 0 || (count < 0 && errno != EAGAIN);
    }
    return received;
  }
  void send(std::string_view text) const { ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL); }

  base::Fd socket;
  std::string received;
  bool gone = false;
};

class Http2Lab : public ::testing::Test, public OriginSource {
 protected:
  static constexpr const char* kPolicy = "domains: [allowed.test, other.test]";

  Http2Lab() { use(kPolicy); }
  ~Http2Lab() override {
    if (client_ != nullptr) client_->connection.close();
    for (auto& origin : origins2_) origin->connection.close();
    until([this] {
      const bool origins = std::ranges::all_of(origins2_, [](const auto& origin) { return origin->ended; });
      return origins && (client_ == nullptr || (client_->ended && *served_));
    });
  }

  static std::shared_ptr<const policy::Policy> compiled(const std::string& text) {
    const std::vector<policy::PolicySource> layers = {{"policy.yaml", text}};
    auto policy = policy::Policy::compile(layers);
    EXPECT_TRUE(policy.has_value()) << (policy ? "" : policy.error().message);
    return policy.value();
  }
  void use(const std::string& text) {
    const auto policy = compiled(text);
    context_.use(std::make_shared<const flow::PolicyInForce>(policy));
  }
  void reload(const std::string& text) {
    use(text);
    registry_.apply(*context_.in_force->policy());
  }
  void until(const std::function<bool()>& done) { testing::run_until(io_, done); }

  // The client's connection, and with it the flow.
  void connect(const std::string& name = "allowed.test") {
    auto [far, near] = test::tcp_pair();
    ::fcntl(far.get(), F_SETFL, O_NONBLOCK);
    client_ = std::make_unique<Http2End>(io_, wheel_, std::move(far), http2::Role::kClient);
    flow::ClientConnection connection{std::make_unique<net::TcpStream>(io_, wheel_, std::move(near)),
                                      {base::IpAddress::parse("10.0.0.9").value(), 40000},
                                      {base::IpAddress::parse("192.0.2.1").value(), 443}};
    connection.stream->account_to(buffers_);
    InspectedClient inspected{std::move(connection), base::HostName::parse(name).value()};
    served_ = std::make_shared<bool>(false);
    auto flow = serve(std::move(inspected));
    boost::asio::co_spawn(io_, std::move(flow), [served = served_](const std::exception_ptr& error) {
      EXPECT_FALSE(error);
      *served = true;
    });
  }

  boost::asio::awaitable<void> serve(InspectedClient client) {
    Session session(context_, std::move(client), *this, std::move(first_));
    co_await session.run();
  }

  std::shared_ptr<net::ClientBuffers> buffers_;  // of the client, before connect(); null: without bound

  static http2::Fields head(const std::string& method = "GET", const std::string& path = "/",
                            const std::string& authority = "allowed.test", const http2::Fields& more = {}) {
    http2::Fields out{{":method", method}, {":scheme", "https"}, {":authority", authority}, {":path", path}};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  std::shared_ptr<http2::Stream> ask(const http2::Fields& fields, std::shared_ptr<http2::Body> body = nullptr) {
    return client_->connection.session().request(fields, std::move(body));
  }
  static std::shared_ptr<http2::Body> body(const std::string& text, http2::Fields trailers = {}) {
    auto made = std::make_shared<http2::Body>();
    made->append(base::as_bytes(text));
    made->finish(std::move(trailers));
    return made;
  }
  static std::string status(const http2::Stream& stream) {
    const auto* const field = http2::find(stream.head(), ":status");
    return field == nullptr ? "none" : field->value;
  }
  static std::string text(const http2::Stream& stream) {
    return std::string(base::as_text(stream.received()->bytes()));
  }
  void answered(const std::shared_ptr<http2::Stream>& stream) {
    until([&] { return stream->received()->finished() || stream->closed(); });
  }
  // The n-th request that any origin of HTTP/2 has got.
  http2::Stream& at_origin(std::size_t index = 0, std::size_t connection = 0) {
    until([&] { return origins2_.size() > connection && origins2_[connection]->requests.size() > index; });
    return *origins2_[connection]->requests[index];
  }
  Http1End& origin1(std::size_t connection = 0) {
    until([&] { return origins1_.size() > connection; });
    return *origins1_[connection];
  }

  // --- OriginSource
  boost::asio::awaitable<std::expected<OriginConnection, flow::DialFailure>> connect(
      std::vector<HttpVersion>) override {
    ++dials_;
    if (failure_) co_return std::unexpected(*failure_);
    if (!kept_.empty()) {
      auto connection = std::move(kept_.back());
      kept_.pop_back();
      co_return connection;
    }
    co_return make_origin();
  }
  void give_back(OriginConnection connection) override { kept_.push_back(std::move(connection)); }
  OriginConnection make_origin() {
    auto [far, near] = test::tcp_pair();
    ::fcntl(far.get(), F_SETFL, O_NONBLOCK);
    if (speaks_ == HttpVersion::kHttp2) {
      origins2_.push_back(std::make_unique<Http2End>(io_, wheel_, std::move(far), http2::Role::kServer));
    } else {
      origins1_.push_back(std::make_unique<Http1End>(std::move(far)));
    }
    return {std::make_unique<net::TcpStream>(io_, wheel_, std::move(near)), speaks_};
  }

  boost::asio::io_context io_{1};
  net::DeadlineWheel wheel_{io_};
  audit::Counters counters_;
  testing::RecordingLog log_;
  std::shared_ptr<dns::Cache> cache_ = dns::make_cache();
  std::shared_ptr<dns::ReverseNames> names_ = std::make_shared<dns::ReverseNames>();
  dns::Resolver resolver_{
      io_, {.upstreams = {base::Endpoint{base::IpAddress::parse("127.0.0.1").value(), 9}}}, cache_, names_, counters_};
  flow::Connector connector_{io_, wheel_, resolver_, *names_, 0, {}};
  flow::Registry registry_;
  flow::PipePool pipes_;
  flow::Context context_{io_, wheel_, resolver_, *names_, connector_, registry_, pipes_, log_, counters_, nullptr};

  HttpVersion speaks_ = HttpVersion::kHttp2;
  std::optional<flow::DialFailure> failure_;
  std::optional<OriginConnection> first_;
  std::vector<OriginConnection> kept_;
  int dials_ = 0;
  std::vector<std::unique_ptr<Http2End>> origins2_;
  std::vector<std::unique_ptr<Http1End>> origins1_;
  std::unique_ptr<Http2End> client_;
  std::shared_ptr<bool> served_;
};

}  // namespace soleroute::gateway::http::h2
