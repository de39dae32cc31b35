// Requests of HTTP/1.1 over an origin's connection of HTTP/2: the test writes and reads HTTP/1.1 and plays the origin.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gateway/http/h2/http1_over_http2.h"
#include "gateway/http/h2/http1_over_http2_heads.h"
#include "tests/unit/http/h1_lab.h"
#include "tests/unit/http/h2_lab.h"

namespace soleroute::gateway::http::h2 {
namespace {

using http2::Fields;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Http1ToHttp2 : public Http2Lab {
 protected:
  Http1ToHttp2() : stream_(http1_over_http2(context_, {}, make_origin().stream)) {}
  ~Http1ToHttp2() override {
    stream_.reset();
    until([this] { return origins2_[0]->ended; });
    do io_.restart();
    while (io_.poll() > 0);  // what was ended by it
  }

  // How much is taken before nothing more is for a while.
  std::size_t send(std::string_view text) {
    std::size_t sent = 0;
    for (int idle = 0; sent < text.size() && idle < 50; ++idle) {
      for (;;) {
        const auto written = stream_->try_write_some(base::as_bytes(text.substr(sent)));
        if (written.would_block()) break;
        if (written.count() == 0) return sent;
        sent += written.count();
        idle = 0;
        if (sent == text.size()) return sent;
      }
      io_.restart();
      io_.run_for(std::chrono::milliseconds(2));
    }
    return sent;
  }
  void read() {
    std::vector<std::byte> buffer(65536);
    for (;;) {
      const auto read = stream_->try_read_some(buffer);
      if (read.would_block()) return;
      over_ = over_ || !read.has_bytes();
      if (over_) return;
      received_ += base::as_text(std::span<const std::byte>(buffer).first(read.count()));
    }
  }
  // All that has come, once it ends like this.
  std::string received(std::string_view end) {
    until([&] { return read(), received_.ends_with(end) || over_; });
    return std::exchange(received_, {});
  }
  // What came before the connection ended.
  std::string rest() {
    until([&] { return read(), over_; });
    return std::exchange(received_, {});
  }

  std::unique_ptr<net::Stream> stream_;
  std::string received_;
  bool over_ = false;
};

TEST_F(Http1ToHttp2, RewritesRequestsOneAfterTheOtherAndTheirAnswers) {
  send(
      h1::wire("GET /A%2fb?q=1 HTTP/1.1|Host: Allowed.test|X-B:  2|x-a: 1|Connection: keep-alive, x-c|X-C: 3|"
               "TE: trailers|Authorization: Bearer x||"));
  auto& asked = at_origin();
  EXPECT_EQ(asked.head(), (Fields{{":method", "GET"},
                                  {":scheme", "https"},
                                  {":authority", "Allowed.test"},
                                  {":path", "/A%2fb?q=1"},
                                  {"x-b", "2", true},
                                  {"x-a", "1", true},
                                  {"authorization", "Bearer x", true}}))
      << "and no field enters a compression table";
  EXPECT_TRUE(asked.received()->finished());
  asked.respond({{":status", "200"}, {"x-one", "1"}, {"alt-svc", "h3"}}, body("hello"));
  EXPECT_EQ(received("0\r\n\r\n"), h1::wire("HTTP/1.1 200 |x-one: 1|transfer-encoding: chunked||5|hello|0||"));
  send(h1::wire("DELETE /2 HTTP/1.1|Host: allowed.test||"));
  at_origin(1).respond({{":status", "404"}, {"content-length", "2"}}, body("no"));
  EXPECT_EQ(received("no"), h1::wire("HTTP/1.1 404 |content-length: 2||no"));
  send(h1::wire("HEAD /3 HTTP/1.1|Host: allowed.test||"));
  at_origin(2).respond({{":status", "200"}, {"content-length", "9"}}, nullptr);
  EXPECT_EQ(received("\r\n\r\n"), h1::wire("HTTP/1.1 200 |content-length: 9||"));
  send(h1::wire("GET /4 HTTP/1.1|Host: allowed.test||"));
  at_origin(3).respond({{":status", "200"}}, nullptr);
  EXPECT_EQ(received("\r\n\r\n"), h1::wire("HTTP/1.1 200 |content-length: 0||"));
  send(h1::wire("GET /5 HTTP/1.1|Host: allowed.test||"));
  at_origin(4).respond({{":status", "204"}}, nullptr);
  EXPECT_EQ(received("\r\n\r\n"), h1::wire("HTTP/1.1 204 ||"));
  EXPECT_EQ(origins2_.size(), 1u);
}

TEST_F(Http1ToHttp2, StreamsBothWaysAtOnceWithTrailersAndInterimAnswers) {
  send(h1::wire("POST / HTTP/1.1|Host: allowed.test|Transfer-Encoding: chunked|Expect: 100-continue||"));
  auto& asked = at_origin();
  EXPECT_EQ(http2::find(asked.head(), "transfer-encoding"), nullptr);
  asked.send_interim({{":status", "100"}});
  EXPECT_EQ(received("\r\n\r\n"), h1::wire("HTTP/1.1 100 ||"));
  send(h1::wire("3|one|"));
  until([&] { return text(asked) == "one"; });
  const auto down = std::make_shared<http2::Body>();
  asked.respond({{":status", "200"}}, down);
  EXPECT_THAT(received("\r\n\r\n"), HasSubstr("transfer-encoding: chunked"));
  down->append(base::as_bytes("first"));
  EXPECT_EQ(received("\r\n"), h1::wire("5|first|")) << "before either body has ended";
  send(h1::wire("4|more|0|X-Sum: 7||"));
  until([&] { return asked.received()->finished(); });
  EXPECT_EQ(text(asked), "onemore");
  EXPECT_EQ(asked.received()->trailers(), (Fields{{"x-sum", "7"}}));
  down->finish({{"x-down", "8"}, {"trailer", "x"}});
  EXPECT_EQ(received("\r\n\r\n"), h1::wire("0|x-down: 8||")) << "RFC 9110 section 6.5.1: the other has no place there";
}

TEST_F(Http1ToHttp2, SendsABodyOfKnownLengthAndAnswersHttp10UntilTheEnd) {
  send(h1::wire("PUT / HTTP/1.0|Host: allowed.test|Content-Length: 4||body"));
  auto& asked = at_origin();
  until([&] { return asked.received()->finished(); });
  EXPECT_EQ(text(asked), "body");
  EXPECT_EQ(http2::find(asked.head(), "content-length")->value, "4");
  asked.respond({{":status", "200"}}, body("hello"));
  EXPECT_EQ(rest(), h1::wire("HTTP/1.1 200 |connection: close||hello"));
}

class Http1ToHttp2Reset : public Http1ToHttp2, public ::testing::WithParamInterface<std::uint32_t> {};

// RFC 9113 section 8.1: whole is what has an END_STREAM. Node resets without an error when the window is used up to its
// last byte.
TEST_P(Http1ToHttp2Reset, InTheMiddleOfAnAnswerIsACut) {
  send(h1::wire("GET / HTTP/1.1|Host: allowed.test||"));
  auto& asked = at_origin();
  const auto down = std::make_shared<http2::Body>();
  asked.respond({{":status", "200"}}, down);
  down->append(base::as_bytes("some"));
  EXPECT_THAT(received("some\r\n"), EndsWith("\r\n\r\n4\r\nsome\r\n"));
  asked.reset(GetParam());
  EXPECT_EQ(rest(), "") << "no last chunk";
}
INSTANTIATE_TEST_SUITE_P(Errors, Http1ToHttp2Reset, ::testing::Values(http2::kInternalError, http2::kNoError));

TEST_F(Http1ToHttp2, AnAnswerIsWholeThatEndsWithItsConnectionBeforeTheClientHasTakenIt) {
  constexpr std::size_t kSize = 900'000;  // more than sockets hold, less than the origin may send unasked
  send(h1::wire("GET / HTTP/1.1|Host: allowed.test||"));
  auto& asked = at_origin();
  asked.respond({{":status", "200"}}, body(std::string(kSize, 'x')));
  until([&] { return asked.sent_end(); });
  origins2_[0]->connection.close();
  until([&] { return origins2_[0]->ended; });
  io_.restart();
  io_.run_for(std::chrono::milliseconds(50));
  const std::string answer = received("0\r\n\r\n");
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(answer, 'x')), kSize);
  EXPECT_THAT(answer, EndsWith("\r\n0\r\n\r\n"));
}

TEST_F(Http1ToHttp2, AResetInsteadOfAnAnswerIsAnEnd) {
  send(h1::wire("GET / HTTP/1.1|Host: allowed.test||"));
  at_origin().reset(http2::kRefusedStream);
  EXPECT_EQ(rest(), "");
}

TEST_F(Http1ToHttp2, AClientThatLeavesEndsItsRequest) {
  send(h1::wire("GET / HTTP/1.1|Host: allowed.test||"));
  auto& asked = at_origin();
  EXPECT_FALSE(asked.closed());
  stream_->close();
  until([&] { return asked.closed() && origins2_[0]->ended; });
}

TEST_F(Http1ToHttp2, AnAnswerBeforeTheEndOfTheBodyIsWhole) {
  send(h1::wire("POST / HTTP/1.1|Host: allowed.test|Content-Length: 1000000||some"));
  at_origin().respond({{":status", "413"}, {"content-length", "2"}}, body("no"));
  EXPECT_EQ(rest(), h1::wire("HTTP/1.1 413 |content-length: 2||no"));
}

TEST_F(Http1ToHttp2, HoldsLittleOfWhatTheOtherSideDoesNotTake) {
  const std::string much(16 << 20, 'x');
  send(h1::wire("POST / HTTP/1.1|Host: allowed.test|Content-Length: 16777216||"));
  auto& asked = at_origin();
  const std::size_t sent = send(much);
  EXPECT_GT(sent, 100'000u);
  EXPECT_LT(sent, std::size_t{4} << 20);
  const auto down = body(much);
  asked.respond({{":status", "200"}}, down);
  until([&] { return down->size() < much.size(); });
  io_.restart();
  io_.run_for(std::chrono::milliseconds(100));
  EXPECT_GT(down->size(), much.size() - (std::size_t{4} << 20)) << "nobody has read it";
}

TEST_F(Http1ToHttp2, AWebSocketBecomesOneOfRfc8441) {
  until([&] { return !origins2_.empty(); });
  origins2_[0]->connection.session().offer_websockets();
  send(
      h1::wire("GET /chat HTTP/1.1|Host: allowed.test|Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Version: 13|"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Protocol: chat||"));
  auto& asked = at_origin();
  EXPECT_EQ(asked.head(), (Fields{{":method", "CONNECT"},
                                  {":scheme", "https"},
                                  {":authority", "allowed.test"},
                                  {":path", "/chat"},
                                  {":protocol", "websocket"},
                                  {"sec-websocket-version", "13", true},
                                  {"sec-websocket-protocol", "chat", true}}));
  const auto down = std::make_shared<http2::Body>();
  asked.respond({{":status", "200"}, {"sec-websocket-protocol", "chat"}}, down);
  EXPECT_EQ(received("\r\n\r\n"),
            h1::wire("HTTP/1.1 101 |sec-websocket-protocol: chat|upgrade: websocket|connection: upgrade|"
                     "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=||"));
  send("frames");
  until([&] { return text(asked) == "frames"; });
  down->append(base::as_bytes("answers"));
  EXPECT_EQ(received("answers"), "answers");
  stream_->shutdown_send();
  until([&] { return asked.received()->finished(); });
  down->append(base::as_bytes("bye"));
  down->finish();
  EXPECT_EQ(rest(), "bye");
}

TEST_F(Http1ToHttp2, AWebSocketThatTheOriginDoesNotTakeIsAnEndThatSaysSo) {
  send(
      h1::wire("GET /chat HTTP/1.1|Host: allowed.test|Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Version: 13|"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==||"));
  const std::string page = rest();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 502 Cannot reach: "));
  EXPECT_THAT(page, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(page, HasSubstr("allowed.test is allowed, but the gateway cannot reach it"));
  EXPECT_THAT(page, HasSubstr("supports no WebSocket"));
  EXPECT_TRUE(origins2_[0]->requests.empty());
}

}  // namespace
}  // namespace soleroute::gateway::http::h2
