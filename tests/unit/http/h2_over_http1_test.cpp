// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <string>

#include "tests/unit/http/h2_lab.h"

namespace soleroute::gateway::http::h2 {
namespace {

using http2::Fields;
using ::testing::EndsWith;
using ::testing::HasSubstr;

class Http2ToHttp1 : public Http2Lab {
 protected:
  Http2ToHttp1() { speaks_ = HttpVersion::kHttp1; }
  // What the n-th connection has received, once it ends like this.
  std::string received(const std::string& end, std::size_t connection = 0) {
    auto& origin = origin1(connection);
    until([&] { return origin.read().ends_with(end); });
    return std::exchange(origin.received, {});
  }
};

TEST_F(Http2ToHttp1, WritesARequestAndReadsItsAnswer) {
  connect();
  const Fields more{{"x-b", "2"}, {"cookie", "a=1"}, {"te", "trailers"}, {"x-a", "1"}, {"cookie", "b=2"}};
  const auto asked = ask(head("GET", "/A%2fb?q=1", "allowed.test", more));
  EXPECT_EQ(received("\r\n\r\n"),
            "GET /A%2fb?q=1 HTTP/1.1\r\nhost: allowed.test\r\nx-b: 2\r\nx-a: 1\r\ncookie: a=1; b=2\r\n\r\n");
  origin1().send(
      "HTTP/1.1 200 OK\r\nX-One: 1\r\nConnection: x-two\r\nx-two: 2\r\nAlt-Svc: h3\r\nContent-Length: 5\r\n\r\n"
      "hello");
  answered(asked);
  EXPECT_EQ(asked->head(), (Fields{{":status", "200"}, {"x-one", "1"}, {"content-length", "5"}}));
  EXPECT_EQ(text(*asked), "hello");
  until([&] { return kept_.size() == 1; });
  const auto again = ask(head("GET", "/2"));
  EXPECT_THAT(received("\r\n\r\n"), HasSubstr("GET /2 "));
  origin1().send("HTTP/1.1 204 No Content\r\n\r\n");
  answered(again);
  EXPECT_EQ(status(*again), "204");
  EXPECT_EQ(origins1_.size(), 1U);
}

TEST_F(Http2ToHttp1, GivesEveryStreamAConnectionOfItsOwn) {
  connect();
  const auto first = ask(head("GET", "/1"));
  const auto second = ask(head("GET", "/2"));
  (void)received("\r\n\r\n", 1);
  (void)received("\r\n\r\n", 0);
  origin1(1).send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
  answered(second);
  origin1(0).send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
  answered(first);
  EXPECT_EQ(text(*first) + text(*second), "ab");
}

TEST_F(Http2ToHttp1, SendsABodyOfUnknownLengthInChunksWithItsTrailers) {
  connect();
  auto up = std::make_shared<http2::Body>();
  const auto asked = ask(head("POST"), up);
  EXPECT_THAT(received("\r\n\r\n"), HasSubstr("transfer-encoding: chunked\r\n"));
  up->append(base::as_bytes("hello, this is a chunk"));
  EXPECT_EQ(received("chunk\r\n"), "16\r\nhello, this is a chunk\r\n");
  up->finish({{"expect", "100-continue"}, {"x-sum", "1"}});  // RFC 9110 section 6.5.1: the first has no place here
  EXPECT_EQ(received("1\r\n\r\n"), "0\r\nx-sum: 1\r\n\r\n");
  origin1().send(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 2\r\n\r\n");
  answered(asked);
  EXPECT_EQ(text(*asked), "abcde");
  EXPECT_EQ(asked->received()->trailers(), (Fields{{"x-sum", "2"}}));
  EXPECT_EQ(http2::find(asked->head(), "transfer-encoding"), nullptr);
}

TEST_F(Http2ToHttp1, SendsABodyOfKnownLengthAsItIs) {
  connect();
  const auto asked = ask(head("PUT", "/", "allowed.test", {{"content-length", "4"}}), body("body"));
  EXPECT_THAT(received("body"), EndsWith("content-length: 4\r\n\r\nbody"));
  origin1().send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  answered(asked);
  EXPECT_EQ(status(*asked), "201");
}

TEST_F(Http2ToHttp1, CarriesInterimResponsesAndAnswersToHead) {
  connect();
  const auto asked = ask(head("HEAD"));
  (void)received("\r\n\r\n");
  origin1().send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  answered(asked);
  EXPECT_EQ(asked->take_interim(), (std::vector<Fields>{{{":status", "103"}, {"link", "</a>"}}}));
  EXPECT_EQ(http2::find(asked->head(), "content-length")->value, "1000");
  EXPECT_TRUE(asked->closed());
  EXPECT_EQ(asked->error_code(), http2::kNoError);
}

// C07
TEST_F(Http2ToHttp1, DeliversEventsAsTheyCome) {
  connect();
  const auto asked = ask(head());
  (void)received("\r\n\r\n");
  origin1().send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
  until([&] { return asked->has_head(); });
  for (const char* const event : {"data: 1\n\n", "data: 2\n\n"}) {
    origin1().send(event);
    until([&] { return text(*asked) == event; });
    asked->received()->consume(asked->received()->size());
  }
  origin1().socket.reset();
  answered(asked);
  EXPECT_TRUE(asked->received()->finished());
}

TEST_F(Http2ToHttp1, HoldsLittleOfWhatTheClientDoesNotTake) {
  connect();
  const auto asked = ask(head());
  (void)received("\r\n\r\n");
  constexpr std::size_t kSize = 32 << 20;
  origin1().send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n");
  std::size_t sent = 0;
  const std::string piece(65536, 'x');
  const auto push = [&] {
    while (sent < kSize) {
      const auto count = ::send(origin1().socket.get(), piece.data(), std::min(piece.size(), kSize - sent),
                                MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count <= 0) return;
      sent += static_cast<std::size_t>(count);
    }
  };
  until([&] {
    push();
    return asked->received()->size() >= http2::kOriginStreamWindow;  // its window is used up
  });
  for (int i = 0; i < 200; ++i) {
    push();
    io_.poll();
  }
  EXPECT_LT(sent, kSize);  // the rest waits at the origin
  std::size_t got = 0;
  until([&] {
    push();
    got += asked->received()->size();
    asked->received()->consume(asked->received()->size());
    return asked->received()->at_end();
  });
  EXPECT_EQ(got, kSize);
}

TEST_F(Http2ToHttp1, GivesUpItsConnectionWithTheStream) {
  connect();
  const auto asked = ask(head());
  (void)received("\r\n\r\n");
  asked->reset(http2::kCancel);
  until([&] {
    (void)origin1().read();
    return origin1().gone;
  });
  EXPECT_TRUE(kept_.empty());
}

// T100
TEST_F(Http2ToHttp1, AnswersForAnOriginThatMakesNoSense) {
  connect();
  const std::pair<const char*, const char*> cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "two lengths"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "a coding that nobody asked for"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "the same, which HTTP/2 has no field for"},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
       "an upgrade nobody asked for"},
      {"\x16\x03\x01 what is this\r\n\r\n", "not HTTP"},
  };
  std::size_t connection = 0;
  for (const auto& [answer, what] : cases) {
    const auto asked = ask(head("POST", "/", "allowed.test", {{"content-length", "0"}}));
    (void)received("\r\n\r\n", connection);
    origin1(connection++).send(answer);
    answered(asked);
    EXPECT_EQ(status(*asked), "502") << what;
  }
  EXPECT_TRUE(kept_.empty());
}

TEST_F(Http2ToHttp1, ADoubtfulAnswerEndsItsConnection) {
  connect();
  const std::string odd[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
      "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
      "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
  };
  std::size_t connection = 0;
  for (const auto& answer : odd) {
    const auto asked = ask(head());
    (void)received("\r\n\r\n", connection);
    origin1(connection++).send(answer);
    until([&] { return asked->received()->finished(); });
    EXPECT_EQ(status(*asked), "200") << answer;
    EXPECT_EQ(text(*asked), "hi") << answer;
  }
  EXPECT_TRUE(kept_.empty());
}

TEST_F(Http2ToHttp1, ResetsTheStreamWhenAnAnswerIsCutShort) {
  connect();
  const auto asked = ask(head());
  (void)received("\r\n\r\n");
  origin1().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  until([&] { return text(*asked) == "abc"; });
  origin1().socket.reset();
  until([&] { return asked->closed(); });
  EXPECT_NE(asked->error_code(), http2::kNoError);
  EXPECT_TRUE(asked->received()->aborted());
}

TEST_F(Http2ToHttp1, AsksAgainWhenAKeptConnectionTurnsOutDead) {
  connect();
  const auto first = ask(head());
  (void)received("\r\n\r\n");
  origin1().send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  answered(first);
  until([&] { return kept_.size() == 1; });
  origin1().socket.reset();
  const auto second = ask(head("GET", "/2"));
  EXPECT_THAT(received("\r\n\r\n", 1), HasSubstr("GET /2 "));
  origin1(1).send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  answered(second);
  EXPECT_EQ(status(*second), "200");
}

}  // namespace
}  // namespace soleroute::gateway::http::h2
