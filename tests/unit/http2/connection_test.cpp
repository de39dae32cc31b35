// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http2/connection.h"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <string>
#include <vector>

#include "tests/support/await.h"
#include "tests/support/http2_wire.h"
#include "tests/support/peer.h"
#include "tests/support/socket_pair.h"

namespace soleroute::gateway::http2 {
namespace {

namespace asio = boost::asio;
using ::testing::HasSubstr;

const Fields kRequest{{":method", "POST"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}};

// One side of a connection with its socket.
struct Side {
  Side(asio::io_context& io, net::DeadlineWheel& wheel, base::Fd socket, Role role, Session::Events events,
       std::shared_ptr<net::ClientBuffers> buffers = nullptr)
      : stream(io, wheel, std::move(socket)),
        connection(io.get_executor(), accounted(std::move(buffers)), role, std::move(events)) {
    auto run = connection.run();
    asio::co_spawn(io, std::move(run), [this](const std::exception_ptr& error) { ended = !error; });
  }

  net::Stream& accounted(std::shared_ptr<net::ClientBuffers> buffers) {
    stream.account_to(std::move(buffers));
    return stream;
  }

  net::TcpStream stream;
  Connection connection;
  bool ended = false;
};

class Http2Connections : public ::testing::Test {
 protected:
  void until(const std::function<bool()>& done) { testing::run_until(io_, done); }
  Session::Events events() {
    return {.request = [this](std::shared_ptr<Stream> stream) { requests_.push_back(std::move(stream)); },
            .refused = {},
            .settings = {},
            .wake = {}};
  }
  void connect(std::shared_ptr<net::ClientBuffers> buffers = nullptr) {
    auto [far, near] = test::tcp_pair();
    ::fcntl(far.get(), F_SETFL, O_NONBLOCK);
    client_.emplace(io_, wheel_, std::move(far), Role::kClient, Session::Events{});
    server_.emplace(io_, wheel_, std::move(near), Role::kServer, events(), std::move(buffers));
  }
  // The server's client holds as much as it may, and more of a body than a small piece.
  std::shared_ptr<Stream> fill() {
    connect(buffers_);
    most_ = net::HeldBytes(buffers_, net::BufferLimits{}.client);
    const auto upload = std::make_shared<Body>();
    upload->append(base::as_bytes(std::string(kUpload, 'x')));
    auto asked = client_->connection.session().request(kRequest, upload);
    until([&] { return !requests_.empty() && requests_[0]->received()->size() > 16 * 1024; });
    return asked;
  }

  static constexpr std::size_t kUpload = 500'000;
  std::shared_ptr<net::BufferAccount> account_ = std::make_shared<net::BufferAccount>(net::BufferLimits{});
  std::shared_ptr<net::ClientBuffers> buffers_ = account_->of(base::IpAddress::parse("10.0.0.1").value());
  net::HeldBytes most_;
  asio::io_context io_;
  net::DeadlineWheel wheel_{io_};
  std::vector<std::shared_ptr<Stream>> requests_;
  std::optional<Side> client_;
  std::optional<Side> server_;
};

TEST_F(Http2Connections, CarryBodiesOfAnySizeInConstantMemory) {
  connect();
  constexpr std::size_t kSize = 32 << 20;
  auto upload = std::make_shared<Body>();
  const std::string piece(100000, 'x');
  std::size_t sent = 0;
  const auto refill = [&](std::size_t) {
    while (upload->size() < piece.size() && sent < kSize && !upload->finished()) {
      const auto part = std::min(piece.size(), kSize - sent);
      sent += part;
      upload->append(base::as_bytes(piece).first(part));
      if (sent == kSize) upload->finish();
    }
  };
  upload->on_consumed = refill;
  refill(0);
  const auto asked = client_->connection.session().request(kRequest, upload);
  until([&] { return !requests_.empty(); });
  auto& received = *requests_[0]->received();
  std::size_t most = 0;
  std::size_t got = 0;
  until([&] {
    most = std::max(most, received.size());
    got += received.size();
    received.consume(received.size());
    return received.at_end();
  });
  EXPECT_EQ(got, kSize);
  EXPECT_LE(most, kClientStreamWindow);
  requests_[0]->respond({{":status", "204"}}, nullptr);
  until([&] { return asked->closed(); });
  EXPECT_EQ(asked->error_code(), kNoError);
  client_->connection.close();
  until([&] { return client_->ended && server_->ended; });
}

TEST_F(Http2Connections, ReadNothingThatNobodyTakes) {
  connect();
  auto upload = std::make_shared<Body>();
  const std::string much(2 << 20, 'x');
  upload->append(base::as_bytes(much));
  const auto asked = client_->connection.session().request(kRequest, upload);
  until([&] { return !requests_.empty() && requests_[0]->received()->size() == kClientStreamWindow; });
  EXPECT_EQ(upload->size(), much.size() - kClientStreamWindow);
  client_->connection.close();
  until([&] { return client_->ended && server_->ended; });
}

TEST_F(Http2Connections, AreReadInSmallPiecesWhileTheirClientHasNoRoom) {
  const auto account = std::make_shared<net::BufferAccount>(net::BufferLimits{.all = 1 << 20, .client = 1 << 20});
  const auto buffers = account->of(base::IpAddress::parse("10.0.0.1").value());
  net::HeldBytes others(buffers, 1 << 20);
  connect(buffers);
  auto upload = std::make_shared<Body>();
  const std::string much(2 << 20, 'x');
  upload->append(base::as_bytes(much));
  const auto asked = client_->connection.session().request(kRequest, upload);
  until([&] { return !requests_.empty() && requests_[0]->received()->size() > 16 * 1024; });
  const auto later = net::Clock::now() + std::chrono::milliseconds(300);  // three pauses
  until([&] { return net::Clock::now() > later; });
  EXPECT_LE(requests_[0]->received()->size(), 80U * 1024) << "one read more than what it may hold";
  EXPECT_GE(buffers->held(), others.bytes() + requests_[0]->received()->size()) << "and it is counted";
  others.set(0);
  until([&] { return requests_[0]->received()->size() == kClientStreamWindow; });
  client_->connection.close();
  until([&] { return client_->ended && server_->ended; });
}

// T223: neither FIN nor reset waits for room.
TEST_F(Http2Connections, EndWithAPeerThatHangsUpWhileThereIsNoRoom) {
  const auto asked = fill();
  client_->connection.close();
  const auto begin = std::chrono::steady_clock::now();
  until([&] { return server_->ended || std::chrono::steady_clock::now() - begin > kRoomPatience; });
  EXPECT_TRUE(server_->ended);
  EXPECT_TRUE(requests_[0]->closed());
  requests_.clear();
  until([&] { return client_->ended; });
  EXPECT_EQ(buffers_->held(), most_.bytes()) << "nothing else is left";
}

// T223
TEST_F(Http2Connections, ReadOnForWhatFreesMemoryWhenNobodyTakesABody) {
  const auto asked = fill();
  client_->connection.session().request(kRequest, nullptr)->reset(kCancel);
  const auto beside = client_->connection.session().request(kRequest, nullptr);
  until([&] { return requests_.size() > 1; });
  until([&] { return asked->closed(); });
  EXPECT_EQ(asked->error_code(), kEnhanceYourCalm);
  EXPECT_FALSE(beside->closed());
  EXPECT_LT(requests_[0]->received()->total(), kClientStreamWindow) << "no more was taken in";
  client_->connection.close();
  until([&] { return client_->ended && server_->ended; });
}

// The control: a body that somebody takes is only slowed down.
TEST_F(Http2Connections, CarryABodyThatIsTakenWhileThereIsNoRoom) {
  const auto asked = fill();
  const auto begin = std::chrono::steady_clock::now();
  std::size_t got = 0;
  until([&] {
    got += requests_[0]->received()->size();
    requests_[0]->received()->consume(requests_[0]->received()->size());
    return asked->closed() || got == kUpload;
  });
  EXPECT_EQ(got, kUpload);
  EXPECT_FALSE(asked->closed());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  client_->connection.close();
  until([&] { return client_->ended && server_->ended; });
}

TEST_F(Http2Connections, EndWithTheirPeer) {
  connect();
  const auto asked = client_->connection.session().request(kRequest, std::make_shared<Body>());
  until([&] { return !requests_.empty(); });
  client_->stream.reset();
  until([&] { return client_->ended && server_->ended; });
  EXPECT_TRUE(requests_[0]->closed());
  EXPECT_NE(requests_[0]->error_code(), kNoError);
  EXPECT_TRUE(asked->closed());
}

TEST_F(Http2Connections, LetStreamsFinishAfterGoAway) {
  connect();
  const auto asked = client_->connection.session().request(kRequest, nullptr);
  until([&] { return !requests_.empty(); });
  server_->connection.session().go_away(kNoError);
  until([&] { return !client_->connection.session().takes_requests(); });
  requests_[0]->respond({{":status", "200"}}, nullptr);
  until([&] { return client_->ended && server_->ended; });
  EXPECT_EQ(asked->error_code(), kNoError);
  EXPECT_EQ(find(asked->head(), ":status")->value, "200");
}

// The last word arrives though more of the client's bytes are on their way.
TEST_F(Http2Connections, SayWhyBeforeTheyEnd) {
  auto [far, near] = test::tcp_pair();
  server_.emplace(io_, wheel_, std::move(near), Role::kServer, events());
  test::Peer client(std::move(far));
  std::string flood = test::h2::opening();
  for (int i = 0; i < 3000; ++i) flood += test::h2::frame(test::h2::kPing, 0, 0, "12345678");
  ASSERT_TRUE(client.send(flood));
  client.finish();
  until([&] { return server_->ended; });
  const std::string said = client.rest();
  EXPECT_THAT(said, HasSubstr(test::h2::u32(kEnhanceYourCalm)));
}

TEST_F(Http2Connections, EndAtSomethingElseThanHttp2) {
  auto [far, near] = test::tcp_pair();
  server_.emplace(io_, wheel_, std::move(near), Role::kServer, events());
  test::Peer client(std::move(far));
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
  client.finish();
  until([&] { return server_->ended; });
  EXPECT_TRUE(requests_.empty());
}

}  // namespace
}  // namespace soleroute::gateway::http2
