// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/tls_stream.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gateway/inspect/agent_tls.h"
#include "tests/support/await.h"
#include "tests/support/client_hello.h"
#include "tests/support/socket_pair.h"
#include "tests/support/tls_peer.h"

namespace soleroute::gateway::inspect {
namespace {

using test::TlsPeer;
using ::testing::HasSubstr;
using testing::TestAuthority;

class TlsStreams : public ::testing::Test {
 protected:
  TlsStreams() {
    auto issued = root_.issue_for("a.test");
    leaf_ = std::make_unique<Leaf>(std::move(issued.certificate), std::vector<X509Ptr>{}, std::move(issued.key));
  }
  // The gateway's end of a connection whose first `count` bytes had been read before.
  std::unique_ptr<TlsStream> accepting(base::Fd socket, std::size_t count, const std::string& name = "a.test",
                                       const std::string& alpn = "http/1.1") {
    auto below = std::make_unique<net::TcpStream>(io_, wheel_, std::move(socket));
    below->expires_after(std::chrono::seconds(20));
    std::vector<std::byte> read(count);
    for (std::size_t at = 0; at < count;) {
      auto some = testing::await(io_, below->read_some(std::span(read).subspan(at)));
      if (!some || *some == 0) break;
      at += *some;
    }
    Accepting what{base::HostName::parse(name).value(), alpn};
    return agents_->accept(std::move(below), std::move(read), std::move(what), *leaf_);
  }
  std::expected<void, HandshakeFault> handshake(TlsStream& stream) { return testing::await(io_, stream.handshake()); }
  base::Status write(TlsStream& stream, std::string_view text) {
    return testing::await(io_, stream.write_all(base::as_bytes(text)));
  }
  base::Result<std::string> read(TlsStream& stream, std::size_t count) {
    std::string out;
    std::vector<std::byte> into(count);
    while (out.size() < count) {
      auto some = testing::await(io_, stream.read_some(std::span(into).first(count - out.size())));
      if (!some) return std::unexpected(some.error());
      if (*some == 0) break;
      out += base::as_text(std::span(into).first(*some));
    }
    return out;
  }

  boost::asio::io_context io_{1};
  net::DeadlineWheel wheel_{io_};
  TestAuthority root_;
  std::unique_ptr<Leaf> leaf_;
  std::shared_ptr<const AgentTls> agents_ = AgentTls::make().value();
  test::ContextPtr trusting_ = test::client_context(root_.certificate());
};

TEST_F(TlsStreams, GoOnFromWhatWasReadBefore) {
  for (const std::size_t read_before : {0U, 1U, 5U, 100U, 200U}) {
    auto [far, near] = test::tcp_pair();
    TlsPeer peer(std::move(far), trusting_.get());
    auto up = std::async(std::launch::async, [&] { return peer.connect("a.test") && peer.send("ping"); });
    auto stream = accepting(std::move(near), read_before);
    ASSERT_TRUE(handshake(*stream));
    EXPECT_EQ(stream->alpn(), "http/1.1");
    EXPECT_EQ(read(*stream, 4).value(), "ping");
    EXPECT_TRUE(up.get());
    EXPECT_TRUE(write(*stream, "pong"));
    EXPECT_EQ(peer.exactly(4), "pong");
    EXPECT_FALSE(stream->is_plain());
  }
}

TEST_F(TlsStreams, CarryMoreThanASocketHoldsBothWays) {
  auto [far, near] = test::tcp_pair();
  TlsPeer peer(std::move(far), trusting_.get());
  std::string big(8'000'001, '\0');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>('a' + i * 7 % 26);
  auto done = std::async(std::launch::async,
                         [&] { return peer.connect("a.test") && peer.exactly(big.size()) == big && peer.send(big); });
  auto stream = accepting(std::move(near), 0);
  ASSERT_TRUE(handshake(*stream));
  EXPECT_TRUE(write(*stream, big));
  EXPECT_TRUE(read(*stream, big.size()).value() == big);
  EXPECT_TRUE(done.get());
}

TEST_F(TlsStreams, TakeWhatTheyCanWithoutWaiting) {
  auto [far, near] = test::tcp_pair();
  TlsPeer peer(std::move(far), trusting_.get());
  auto up = std::async(std::launch::async, [&] { return peer.connect("a.test"); });
  auto stream = accepting(std::move(near), 0);
  ASSERT_TRUE(handshake(*stream));
  ASSERT_TRUE(up.get());
  std::vector<std::byte> into(10);
  EXPECT_TRUE(stream->try_read_some(into).would_block()) << "nothing is there, tickets aside";
  const std::string block(100'000, 'x');
  std::size_t sent = 0;
  std::size_t blocked = 0;
  for (int i = 0; i < 10'000 && blocked < 3; ++i) {
    const auto written = stream->try_write_some(base::as_bytes(block));
    ASSERT_FALSE(written.failed());
    sent += written.count();
    blocked += written.would_block() ? 1 : 0;
  }
  EXPECT_EQ(blocked, 3u) << "the peer reads nothing";
  auto received = std::async(std::launch::async, [&] { return peer.rest(); });
  EXPECT_TRUE(write(*stream, block)) << "the same bytes are offered again";
  sent += block.size();
  stream->shutdown_send();
  (void)read(*stream, 0);
  EXPECT_EQ(received.get().size(), sent) << "what was offered twice is sent once";
}

// One key update each, answered or not.
bool update_keys(TlsPeer& peer, int count, int how) {
  for (int i = 0; i < count; ++i) {
    if (SSL_key_update(peer.ssl(), how) != 1 || SSL_do_handshake(peer.ssl()) != 1) return false;
  }
  return true;
}

TEST_F(TlsStreams, EndAFloodOfMessagesThatCarryNothing) {
  for (const int how : {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED}) {
    auto [far, near] = test::tcp_pair();
    TlsPeer peer(std::move(far), trusting_.get());
    auto up = std::async(std::launch::async, [&] {
      return peer.connect("a.test") && peer.send("first") && (update_keys(peer, 20'000, how), true);
    });
    auto stream = accepting(std::move(near), 0);
    ASSERT_TRUE(handshake(*stream));
    EXPECT_EQ(read(*stream, 5).value(), "first");
    const auto end = read(*stream, 1);
    ASSERT_FALSE(end);
    EXPECT_THAT(end.error().message, HasSubstr("messages that carry nothing"));
    stream->close();
    EXPECT_TRUE(up.get());
  }
}

TEST_F(TlsStreams, LetKeysBeUpdatedBetweenData) {
  for (const int how : {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED}) {
    auto [far, near] = test::tcp_pair();
    TlsPeer peer(std::move(far), trusting_.get());
    auto up = std::async(std::launch::async, [&] {
      bool good = peer.connect("a.test") && update_keys(peer, 20, how);
      for (int i = 0; good && i < 500; ++i) good = update_keys(peer, 1, how) && peer.send("x");
      return good && peer.exactly(4) == "pong";
    });
    auto stream = accepting(std::move(near), 0);
    ASSERT_TRUE(handshake(*stream));
    EXPECT_EQ(read(*stream, 500).value_or("").size(), 500u);
    EXPECT_TRUE(write(*stream, "pong"));
    EXPECT_TRUE(up.get());
  }
}

TEST_F(TlsStreams, ReadABoundedNumberOfRecordsAtOnce) {
  auto [far, near] = test::tcp_pair();
  TlsPeer peer(std::move(far), trusting_.get());
  auto up = std::async(std::launch::async, [&] {
    bool good = peer.connect("a.test");
    for (int i = 0; good && i < 300; ++i) good = peer.send("x");
    return good;
  });
  auto stream = accepting(std::move(near), 0);
  ASSERT_TRUE(handshake(*stream));
  ASSERT_TRUE(up.get());
  std::vector<std::byte> into(65536);
  std::size_t total = 0;
  while (total < 300) {
    const auto some = testing::await(io_, stream->read_some(into));
    ASSERT_TRUE(some && *some > 0);
    EXPECT_LE(*some, 64u);
    total += *some;
  }
  EXPECT_EQ(total, 300u);
}

TEST_F(TlsStreams, TellAnEndFromACut) {
  for (const bool announced : {true, false}) {
    auto [far, near] = test::tcp_pair();
    TlsPeer peer(std::move(far), trusting_.get());
    auto up = std::async(std::launch::async, [&] {
      const bool good = peer.connect("a.test") && peer.send("last");
      if (announced) peer.finish();
      peer.cut();
      return good;
    });
    auto stream = accepting(std::move(near), 0);
    ASSERT_TRUE(handshake(*stream));
    EXPECT_TRUE(up.get());
    EXPECT_EQ(read(*stream, 4).value(), "last");
    const auto end = read(*stream, 1);
    EXPECT_EQ(end.has_value(), announced);
    if (announced) {
      EXPECT_EQ(*end, "");
    } else {
      EXPECT_EQ(end.error().sys_errno, ECONNABORTED);
    }
  }
}

TEST_F(TlsStreams, SayGoodbyeAndGoOnReading) {
  auto [far, near] = test::tcp_pair();
  TlsPeer peer(std::move(far), trusting_.get());
  auto heard = std::async(std::launch::async, [&] {
    std::string out = peer.connect("a.test") ? peer.rest() : "no TLS";
    peer.send("after");
    return out;
  });
  auto stream = accepting(std::move(near), 0);
  ASSERT_TRUE(handshake(*stream));
  EXPECT_TRUE(write(*stream, "words"));
  stream->shutdown_send();
  EXPECT_EQ(read(*stream, 5).value(), "after");
  EXPECT_EQ(heard.get(), "words") << "no cut";
}

constexpr int kRecord = 5 + 4 + 1 + 16;  // four bytes, RFC 8446 section 5.2: header, content, type, tag

// Until so many encrypted bytes are there to be read.
void wait_for_bytes(TlsStream& stream, int count) {
  const auto there = [&] {
    int size = 0;
    return ::ioctl(stream.native_handle(), FIONREAD, &size) == 0 && size >= count;
  };
  for (int i = 0; i < 20'000 && !there(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(there());
}

TEST_F(TlsStreams, KnowWhenAReadHasLeftNothing) {
  auto [far, near] = test::tcp_pair();
  TlsPeer peer(std::move(far), trusting_.get());
  auto up = std::async(std::launch::async, [&] { return peer.connect("a.test") && peer.send("ping"); });
  auto stream = accepting(std::move(near), 0);
  ASSERT_TRUE(handshake(*stream));
  ASSERT_TRUE(up.get());
  EXPECT_EQ(read(*stream, 4).value(), "ping");
  EXPECT_TRUE(stream->wait_before_reading());

  ASSERT_TRUE(peer.send("one ") && peer.send("two "));
  wait_for_bytes(*stream, 2 * kRecord);
  EXPECT_EQ(read(*stream, 4).value(), "one ");
  EXPECT_FALSE(stream->wait_before_reading()) << "the second record has been received, and not given out";
  EXPECT_EQ(read(*stream, 4).value(), "two ");
  EXPECT_TRUE(stream->wait_before_reading());

  ASSERT_TRUE(peer.send("last"));
  peer.finish();
  wait_for_bytes(*stream, 2 * kRecord - 2);  // an alert has two bytes
  EXPECT_EQ(read(*stream, 4).value(), "last");
  EXPECT_FALSE(stream->wait_before_reading()) << "the end has come with it";
  EXPECT_EQ(read(*stream, 1).value(), "");
}

// Passes on what comes from `from`, each byte by itself.
void crumble(const base::Fd& from, const base::Fd& to) {
  char buffer[4096];
  for (;;) {
    const ssize_t count = ::recv(from.get(), buffer, sizeof buffer, 0);
    if (count <= 0) break;
    for (ssize_t i = 0; i < count; ++i) (void)::send(to.get(), buffer + i, 1, MSG_NOSIGNAL);
  }
  ::shutdown(to.get(), SHUT_WR);
}

void make_blocking(const base::Fd& fd) {
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
}

TEST_F(TlsStreams, LoseNothingByWaitingBeforeReading) {
  auto [far, left] = test::tcp_pair();
  auto [right, near] = test::tcp_pair();
  for (const auto* fd : {&left, &right}) make_blocking(*fd);
  const std::jthread up_link([&] { crumble(left, right); });
  const std::jthread down_link([&] { crumble(right, left); });
  std::optional<TlsPeer> peer(std::in_place, std::move(far), trusting_.get());
  auto up = std::async(std::launch::async, [&] { return peer->connect("a.test"); });
  auto stream = accepting(std::move(near), 0);
  ASSERT_TRUE(handshake(*stream));
  ASSERT_TRUE(up.get());
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(peer->send("ping"));
    ASSERT_EQ(read(*stream, 4).value_or("failed"), "ping") << i;
    EXPECT_TRUE(stream->wait_before_reading()) << i;
  }
  peer.reset();
  const auto end = read(*stream, 1);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().sys_errno, ECONNABORTED);
  stream->close();
}

TEST_F(TlsStreams, AreToldOfAResetThatCameWithTheLastBytes) {
  auto [far, near] = test::tcp_pair();
  std::optional<TlsPeer> peer(std::in_place, std::move(far), trusting_.get());
  auto up = std::async(std::launch::async, [&] { return peer->connect("a.test") && peer->send("ping"); });
  auto stream = accepting(std::move(near), 0);
  ASSERT_TRUE(handshake(*stream));
  ASSERT_TRUE(up.get());
  EXPECT_EQ(read(*stream, 4).value(), "ping");
  EXPECT_TRUE(stream->wait_before_reading());
  ASSERT_TRUE(peer->send("last"));
  wait_for_bytes(*stream, kRecord);
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(SSL_get_fd(peer->ssl()), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  peer.reset();
  EXPECT_EQ(read(*stream, 4).value_or("failed"), "last");
  (void)stream->wait_before_reading();
  const auto end = read(*stream, 1);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().sys_errno, ECONNRESET);
}

TEST_F(TlsStreams, EndTheirWaitsWithTheDeadline) {
  auto [far, near] = test::tcp_pair();
  auto stream = accepting(std::move(near), 0);
  stream->expires_after(std::chrono::milliseconds(1));
  const auto silent = handshake(*stream);
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().kind, HandshakeFault::Kind::kTimedOut);
}

TEST_F(TlsStreams, SayWhichAlertEndedTheHandshake) {
  const auto distrusting = test::client_context(nullptr);
  auto [far, near] = test::tcp_pair();
  TlsPeer peer(std::move(far), distrusting.get());
  auto up = std::async(std::launch::async, [&] { return peer.connect("a.test"); });
  auto stream = accepting(std::move(near), 0);
  const auto refused = handshake(*stream);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, HandshakeFault::Kind::kAlert);
  EXPECT_EQ(refused.error().alert, 48);
  EXPECT_FALSE(up.get());
}

TEST_F(TlsStreams, AreOnlyForTheNameThatWasDecided) {
  for (const char* const named : {"b.test", "a.test"}) {
    auto [far, near] = test::tcp_pair();
    TlsPeer peer(std::move(far), trusting_.get());
    auto up = std::async(std::launch::async, [&] { return peer.connect(named); });
    auto stream = accepting(std::move(near), 0);
    EXPECT_EQ(handshake(*stream).has_value(), named == std::string("a.test")) << "or the control";
    EXPECT_EQ(up.get(), named == std::string("a.test"));
  }
}

TEST_F(TlsStreams, AgreeOnTheProtocolOfTheOriginOrNone) {
  const auto agreed = [&](const std::string& wanted, const std::string& offered) {
    auto [far, near] = test::tcp_pair();
    TlsPeer peer(std::move(far), trusting_.get());
    auto up = std::async(std::launch::async, [&] { return peer.connect("a.test", offered); });
    auto stream = accepting(std::move(near), 0, "a.test", wanted);
    const auto done = handshake(*stream);
    up.get();
    return done ? std::string(stream->alpn()) : "refused";
  };
  EXPECT_EQ(agreed("http/1.1", test::alpn_list({"h2", "http/1.1"})), "http/1.1");
  EXPECT_EQ(agreed("h2", test::alpn_list({"http/1.1", "h2"})), "h2");
  EXPECT_EQ(agreed("http/1.1", test::alpn_list({"h2"})), "refused");
  EXPECT_EQ(agreed("", ""), "");
  EXPECT_EQ(agreed("http/1.1", ""), "");
}

TEST_F(TlsStreams, SpeakNoTlsOlderThan12AndNoEarlyData) {
  auto [far, near] = test::tcp_pair();
  SSL_CTX_set_max_proto_version(trusting_.get(), TLS1_1_VERSION);
  SSL_CTX_set_min_proto_version(trusting_.get(), TLS1_VERSION);
  SSL_CTX_set_security_level(trusting_.get(), 0);
  TlsPeer peer(std::move(far), trusting_.get());
  auto up = std::async(std::launch::async, [&] { return peer.connect("a.test"); });
  auto stream = accepting(std::move(near), 0);
  EXPECT_FALSE(handshake(*stream));
  EXPECT_FALSE(up.get());
}

// T072: the hello after a HelloRetryRequest is held to the name as well. A server that wants P-256 asks a client that
// has sent no share for it again.
TEST_F(TlsStreams, HoldTheSecondHelloToTheNameToo) {
  using namespace testing::tls;
  const std::string no_share = extension(43, sized(std::string("\x03\x04"), 1)) +
                               extension(51, sized(std::string(), 2)) + extension(45, "\x01\x01") +
                               extension(10, sized(std::string("\x00\x1d", 2), 2)) +
                               extension(13, sized(std::string("\x04\x03\x08\x04"), 2));
  for (const char* const second : {"b.test", "a.test"}) {
    auto [far, near] = test::tcp_pair();
    const std::string hello_1 = record(hello(server_name("a.test") + no_share));
    const std::string share = extension(43, sized(std::string("\x03\x04"), 1)) +
                              extension(51, sized(std::string("\x00\x1d", 2) + sized(std::string(32, 'k'), 2), 2)) +
                              extension(45, "\x01\x01") + extension(10, sized(std::string("\x00\x1d", 2), 2)) +
                              extension(13, sized(std::string("\x04\x03\x08\x04"), 2));
    const std::string hello_2 = record(hello(server_name(second) + share));
    ASSERT_EQ(::send(far.get(), hello_1.data(), hello_1.size(), 0), static_cast<ssize_t>(hello_1.size()));
    auto stream = accepting(std::move(near), hello_1.size());
    ASSERT_EQ(::send(far.get(), hello_2.data(), hello_2.size(), 0), static_cast<ssize_t>(hello_2.size()));
    ::shutdown(far.get(), SHUT_WR);
    const auto done = handshake(*stream);
    ASSERT_FALSE(done) << "this client has no keys";
    std::string answer(65536, '\0');
    const auto size = ::recv(far.get(), answer.data(), answer.size(), 0);
    answer.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    if (second == std::string("b.test")) {
      EXPECT_EQ(done.error().kind, HandshakeFault::Kind::kRefused);
    } else {
      EXPECT_EQ(done.error().kind, HandshakeFault::Kind::kClosed) << "the control: a ServerHello and its certificate";
      EXPECT_GT(answer.size(), 500u);
    }
  }
}

}  // namespace
}  // namespace soleroute::gateway::inspect
