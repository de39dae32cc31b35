// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <future>
#include <string>
#include <thread>

#include "gateway/http/h1/exchange.h"
#include "tests/unit/http/h1_lab.h"

namespace soleroute::gateway::http::h1 {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Http1Exchange = Http1Lab;

constexpr const char* kGet = "GET /a?b=c HTTP/1.1|Host: Allowed.TEST|User-Agent: x|aCCept: */*||";
constexpr const char* kOk = "HTTP/1.1 200 OK|Content-Length: 2||hi";

TEST_F(Http1Exchange, CarriesARequestAndItsAnswerUnchanged) {
  auto& agent = client();
  agent.send(wire(kGet));
  auto server = origin("127.0.0.2");
  EXPECT_EQ(server.head(), wire(kGet));
  server.send(wire("HTTP/1.1 200 Fine|X-odd:   case |Content-Length: 2||hi"));
  EXPECT_EQ(agent.message(), wire("HTTP/1.1 200 Fine|X-odd:   case |Content-Length: 2||hi"));

  const auto record = records(1).at(0);
  EXPECT_TRUE(record.allowed);
  EXPECT_EQ(record.reason, "host_allowed");
  EXPECT_EQ(record.phase, policy::Phase::kHttp);
  EXPECT_EQ(record.host, "allowed.test");
  EXPECT_EQ(record.method, "GET");
  EXPECT_EQ(record.path, "/a") << "queries can hold secrets";
  EXPECT_EQ(record.status, 200);
  EXPECT_EQ(record.bytes_in, wire(kGet).size());
  EXPECT_EQ(record.client.to_string(), "10.0.0.9");
  EXPECT_EQ(record.rule, "policy.yaml:3");
  EXPECT_TRUE(record.duration_ms.has_value());
}

// C05
TEST_F(Http1Exchange, KeepsBothConnectionsForManyRequests) {
  auto& agent = client();
  agent.send(wire(kGet));
  auto server = origin("127.0.0.2");
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(server.head(), wire(kGet)) << i;
    server.send(wire(kOk));
    ASSERT_EQ(agent.message(), wire(kOk)) << i;
    agent.send(wire(kGet));
  }
  EXPECT_FALSE(was_dialled("127.0.0.2"));
  EXPECT_EQ(records(200).size(), 200U);
}

// T092
TEST_F(Http1Exchange, ServesPipelinedRequestsInOrder) {
  auto& agent = client();
  agent.send(
      wire("POST /1 HTTP/1.1|Host: allowed.test|Content-Length: 3||abcGET /2 HTTP/1.1|Host: allowed.test||"
           "GET /3 HTTP/1.1|Host: denied.test||GET /4 HTTP/1.1|Host: allowed.test||"));
  auto server = origin("127.0.0.2");
  EXPECT_EQ(server.until("abc"), wire("POST /1 HTTP/1.1|Host: allowed.test|Content-Length: 3||abc"));
  EXPECT_TRUE(server.silent()) << "the second request waits for the first answer";
  server.send(wire("HTTP/1.1 200 OK|Content-Length: 1||1"));
  EXPECT_THAT(server.head(), StartsWith("GET /2"));
  server.send(wire("HTTP/1.1 200 OK|Content-Length: 1||2"));
  EXPECT_THAT(agent.message(), EndsWith("1"));
  EXPECT_THAT(agent.message(), EndsWith("2"));
  EXPECT_THAT(agent.message(), HasSubstr("403 Blocked by policy: "));
  EXPECT_THAT(server.head(), StartsWith("GET /4")) << "the denied one was never seen";
}

TEST_F(Http1Exchange, AClientWithManyRequestsTakesTurnsWithOthers) {
  std::promise<void> all_sent;
  boost::asio::post(context_.io, [waits = all_sent.get_future().share()] { waits.wait(); });
  auto& greedy = client();
  auto& other = client();
  std::string all;
  for (int i = 0; i < 64; ++i) all += wire("GET /greedy HTTP/1.1|Host: denied.test||");
  greedy.send(all);
  other.send(wire("GET /other HTTP/1.1|Host: denied.test||"));
  all_sent.set_value();
  const auto decided = records(65);
  const auto at = std::ranges::find(decided, "/other", &audit::DecisionRecord::path);
  ASSERT_NE(at, decided.end());
  EXPECT_LT(at - decided.begin(), 33);
  EXPECT_THAT(other.message(), HasSubstr("403 Blocked by policy: "));
}

TEST_F(Http1Exchange, AHundredAllowedThenOneDenied) {
  std::string all;
  for (int i = 0; i < 100; ++i) all += wire("GET / HTTP/1.1|Host: allowed.test||");
  auto& agent = client();
  agent.send(all + wire("GET /CANARY HTTP/1.1|Host: denied.test||"));
  auto server = origin("127.0.0.2");
  for (int i = 0; i < 100; ++i) {
    ASSERT_THAT(server.head(), StartsWith("GET / "));
    server.send(wire(kOk));
    ASSERT_THAT(agent.message(), EndsWith("hi"));
  }
  EXPECT_THAT(agent.message(), HasSubstr("Blocked by proxy policy: denied.test"));
  EXPECT_TRUE(server.silent());
}

// T093
TEST_F(Http1Exchange, DialsEachHostItself) {
  auto& agent = client();
  agent.send(wire(kGet));
  auto first = origin("127.0.0.2");
  EXPECT_EQ(first.head(), wire(kGet));
  first.send(wire(kOk));
  EXPECT_EQ(agent.message(), wire(kOk));
  agent.send(wire("GET / HTTP/1.1|Host: other.test||"));
  auto second = origin("127.0.0.3");
  EXPECT_THAT(second.head(), HasSubstr("other.test"));
  second.send(wire("HTTP/1.1 200 OK|Content-Length: 5||other"));
  EXPECT_THAT(agent.message(), EndsWith("other"));
  EXPECT_EQ(first.rest(), "") << "the first origin saw nothing more";
}

// T078
TEST_F(Http1Exchange, DialsWhatTheNameLeadsToAndNotWhereTheClientWent) {
  auto& agent = client("127.0.0.66");
  listen("127.0.0.66");
  agent.send(wire(kGet));
  auto server = origin("127.0.0.2");
  EXPECT_EQ(server.head(), wire(kGet));
  EXPECT_FALSE(was_dialled("127.0.0.66"));
}

// C06: an upload and a download that do not fit any buffer.
TEST_F(Http1Exchange, StreamsBodiesBothWaysAtOnce) {
  constexpr std::size_t kSize = 16 << 20;
  const std::string body(kSize, 'u');
  auto& agent = client();
  std::thread sender([&] {
    agent.send(wire("POST / HTTP/1.1|Host: allowed.test|Content-Length: " + std::to_string(kSize) + "||") + body);
  });
  auto server = origin("127.0.0.2");
  server.head();
  // The answer begins before the request has ended, and flows with it.
  server.send(wire("HTTP/1.1 200 OK|Content-Length: " + std::to_string(kSize) + "||"));
  std::thread echo([&] {
    for (std::size_t done = 0; done < kSize; done += 65536) server.send(server.exactly(65536));
  });
  EXPECT_THAT(agent.head(), HasSubstr("200 OK"));
  EXPECT_EQ(agent.exactly(kSize), body);
  sender.join();
  echo.join();
  const auto record = records(1).at(0);
  EXPECT_GT(record.bytes_in.value(), kSize);
  EXPECT_GT(record.bytes_out.value(), kSize);
  agent.send(wire(kGet));
  EXPECT_EQ(server.head(), wire(kGet)) << "and the connection is used again";
}

TEST_F(Http1Exchange, StreamsChunkedBodiesWithTrailersAndFindsTheirEnd) {
  const auto body_with = [](std::string_view extension) {
    return wire("5" + std::string(extension) + "|hello|") + "10000\r\n" + std::string(65536, 'c') +
           wire("|0|Digest: z||");
  };
  const std::string body = body_with("");
  auto& agent = client();
  agent.send(wire("PUT / HTTP/1.1|Host: allowed.test|Transfer-Encoding: chunked|Trailer: Digest||") +
             body_with(";x=y") + wire(kGet));
  auto server = origin("127.0.0.2");
  server.head();
  EXPECT_EQ(server.exactly(body.size()), body);
  server.send(wire("HTTP/1.1 200 OK|Transfer-Encoding: chunked||") + body_with(";x=\""));
  EXPECT_THAT(agent.head(), HasSubstr("chunked"));
  EXPECT_EQ(agent.exactly(body.size()), body);
  EXPECT_EQ(server.head(), wire(kGet)) << "what followed the body was the next request";
}

// C06, T098
TEST_F(Http1Exchange, CarriesExpectContinueEndToEnd) {
  auto& agent = client();
  agent.send(wire("POST / HTTP/1.1|Host: allowed.test|Content-Length: 5|Expect: 100-continue||"));
  auto server = origin("127.0.0.2");
  EXPECT_THAT(server.head(), HasSubstr("Expect: 100-continue"));
  server.send(wire("HTTP/1.1 100 Continue||"));
  EXPECT_EQ(agent.head(), wire("HTTP/1.1 100 Continue||"));
  agent.send("hello");
  EXPECT_EQ(server.exactly(5), "hello");
  server.send(wire(kOk));
  EXPECT_EQ(agent.message(), wire(kOk));
}

TEST_F(Http1Exchange, AnEarlyFinalAnswerEndsTheConnection) {
  auto& agent = client();
  agent.send(wire("POST / HTTP/1.1|Host: allowed.test|Content-Length: 1000000|Expect: 100-continue||"));
  auto server = origin("127.0.0.2");
  server.head();
  server.send(wire("HTTP/1.1 417 Expectation Failed|Content-Length: 2||no"));
  EXPECT_THAT(agent.message(), EndsWith("no"));
  agent.send(wire("GET /CANARY HTTP/1.1|Host: allowed.test||"));  // would be body to one and a request to the other
  EXPECT_EQ(agent.rest(), "");
  EXPECT_THAT(server.rest(), Not(HasSubstr("CANARY")));
}

TEST_F(Http1Exchange, AnOriginMayAnswerAndCloseBeforeTheBodyIsSent) {
  constexpr std::size_t kSize = 8 << 20;
  auto& agent = client();
  std::thread sender([&] {
    agent.send(wire("POST / HTTP/1.1|Host: allowed.test|Content-Length: " + std::to_string(kSize) + "||") +
               std::string(kSize, 'u'));
  });
  auto server = origin("127.0.0.2");
  server.head();
  server.send(wire("HTTP/1.1 413 Too Large|Connection: close|Content-Length: 2||no"));
  EXPECT_THAT(agent.message(), EndsWith("no")) << "the answer arrives although the body was cut";
  server.close();
  agent.rest();
  sender.join();
}

// C06
TEST_F(Http1Exchange, KnowsWhichAnswersHaveNoBody) {
  auto& agent = client();
  const auto request = [](const std::string& method) { return wire(method + " / HTTP/1.1|Host: allowed.test||"); };
  agent.send(request("HEAD") + request("GET") + request("GET") + request("GET"));
  auto server = origin("127.0.0.2");
  for (const std::string answer :
       {"HTTP/1.1 200 OK|Content-Length: 500||", "HTTP/1.1 204 No Content||",
        "HTTP/1.1 304 Not Modified|Content-Length: 9||", "HTTP/1.1 200 OK|Content-Length: 0||"}) {
    EXPECT_THAT(server.head(), HasSubstr("allowed.test"));
    server.send(wire(answer));
    EXPECT_EQ(agent.head(), wire(answer));
  }
}

TEST_F(Http1Exchange, ForwardsInterimAnswersToThoseWhoKnowThem) {
  auto& agent = client();
  agent.send(wire(kGet));
  auto server = origin("127.0.0.2");
  server.head();
  server.send(wire("HTTP/1.1 103 Early Hints|Link: </a>||") + wire(kOk));
  EXPECT_EQ(agent.head(), wire("HTTP/1.1 103 Early Hints|Link: </a>||"));
  EXPECT_EQ(agent.message(), wire(kOk));
  auto& old = client();
  old.send(wire("GET / HTTP/1.0|Host: allowed.test||"));
  auto another = origin("127.0.0.2");
  another.head();
  another.send(wire("HTTP/1.1 103 Early Hints|Link: </a>||") + wire(kOk));
  EXPECT_EQ(old.rest(), wire(kOk));
}

TEST_F(Http1Exchange, AnAnswerUntilTheCloseEndsTheConnection) {
  auto& agent = client();
  agent.send(wire(kGet) + wire(kGet));
  auto server = origin("127.0.0.2");
  server.head();
  server.send(wire("HTTP/1.1 200 OK||all of"));
  EXPECT_THAT(agent.until("all of"), HasSubstr("200 OK"));
  server.send(" it");
  server.close();
  EXPECT_EQ(agent.rest(), " it");
}

TEST_F(Http1Exchange, AnAnswerThatIsCutIsNotPassedOffAsWhole) {
  for (const std::string answer :
       {"HTTP/1.1 200 OK|Content-Length: 10||half", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||9|half"}) {
    auto& agent = client();
    agent.send(wire(kGet));
    auto server = origin("127.0.0.2");
    server.head();
    server.send(wire(answer));
    agent.until("half");
    server.close();
    EXPECT_EQ(agent.rest(), "<reset>");
  }
  auto& agent = client();
  agent.send(wire(kGet));
  auto server = origin("127.0.0.2");
  server.head();
  server.send(wire("HTTP/1.1 200 OK||half"));
  agent.until("half");
  server.abort();
  EXPECT_EQ(agent.rest(), "<reset>") << "until the close, but the origin broke off";
}

// C10
TEST_F(Http1Exchange, AClientMayStopSendingAndStillRead) {
  auto& agent = client();
  agent.send(wire(kGet));
  agent.finish();
  auto server = origin("127.0.0.2");
  EXPECT_EQ(server.head(), wire(kGet));
  server.send(wire(kOk));
  EXPECT_EQ(agent.rest(), wire(kOk));
}

TEST_F(Http1Exchange, ServesHttp10) {
  auto& agent = client();
  agent.send(wire("GET / HTTP/1.0|Host: allowed.test||"));
  auto server = origin("127.0.0.2");
  EXPECT_EQ(server.head(), wire("GET / HTTP/1.0|Host: allowed.test||"));
  server.send(wire("HTTP/1.1 200 OK|Content-Length: 2||hi"));
  EXPECT_EQ(agent.rest(), wire("HTTP/1.1 200 OK|Content-Length: 2||hi"));

  auto& keeping = client();
  keeping.send(wire("GET / HTTP/1.0|Host: allowed.test|Connection: keep-alive||"));
  auto another = origin("127.0.0.2");
  for (int i = 0; i < 2; ++i) {
    another.head();
    another.send(wire("HTTP/1.1 200 OK|Connection: keep-alive|Content-Length: 2||hi"));
    EXPECT_THAT(keeping.message(), EndsWith("hi"));
    keeping.send(wire("GET / HTTP/1.0|Host: allowed.test|Connection: keep-alive||"));
  }
}

TEST_F(Http1Exchange, ClosesWhenEitherSideSaysSo) {
  auto& agent = client();
  agent.send(wire("GET / HTTP/1.1|Host: allowed.test|Connection: close||"));
  auto server = origin("127.0.0.2");
  server.head();
  server.send(wire(kOk));
  EXPECT_EQ(agent.rest(), wire(kOk));
  auto& other = client();
  other.send(wire(kGet));
  auto closing = origin("127.0.0.2");
  closing.head();
  closing.send(wire("HTTP/1.1 200 OK|Connection: close|Content-Length: 2||hi"));
  EXPECT_THAT(other.rest(), EndsWith("hi"));
}

// RFC 6455 section 1.3
constexpr const char* kAskForWebSocket =
    "GET /ws HTTP/1.1|Host: allowed.test|Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Version: 13|"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==||";

// C08
TEST_F(Http1Exchange, SwitchesToWebSocket) {
  const std::string ask = wire(kAskForWebSocket);
  const std::string grant = wire(
      "HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: websocket|"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=||");
  auto& agent = client();
  agent.send(ask);
  auto server = origin("127.0.0.2");
  EXPECT_EQ(server.head(), ask);
  server.send(grant + "first frame");
  EXPECT_EQ(agent.exactly(grant.size() + 11), grant + "first frame");
  const std::string frames(1 << 20, 'f');
  std::thread sender([&] { agent.send(frames); });
  EXPECT_EQ(server.exactly(frames.size()), frames);
  sender.join();
  server.send("back");
  EXPECT_EQ(agent.exactly(4), "back");
  EXPECT_EQ(records(1).at(0).status, 101);
  agent.finish();
  EXPECT_EQ(server.rest(), "");
}

// T094
TEST_F(Http1Exchange, AsksForNoOtherProtocol) {
  auto& agent = client();
  agent.send(
      wire("GET / HTTP/1.1|Host: allowed.test|Connection: keep-alive, Upgrade, HTTP2-Settings|Upgrade: h2c|"
           "HTTP2-Settings: AAM||"));
  auto server = origin("127.0.0.2");
  EXPECT_EQ(server.head(), wire("GET / HTTP/1.1|Host: allowed.test|Connection: keep-alive||"));
  server.send(wire("HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: h2c||PRI * HTTP/2.0"));
  EXPECT_THAT(agent.rest(), StartsWith("HTTP/1.1 502 Cannot reach: "));
}

// T085
TEST_F(Http1Exchange, ForwardsAbsoluteFormAsOriginForm) {
  auto& agent = client();
  agent.send(
      wire("GET HTTP://Allowed.test?q HTTP/1.1|Host: allowed.test|Proxy-Connection: keep-alive|Proxy-Authorization: "
           "x|A: b||"));
  EXPECT_EQ(origin("127.0.0.2").head(), wire("GET /?q HTTP/1.1|Host: allowed.test|A: b||"));
}

// T101
TEST_F(Http1Exchange, LeavesOutOtherWaysToTheOrigin) {
  auto& agent = client();
  agent.send(wire(kGet));
  auto server = origin("127.0.0.2");
  server.head();
  server.send(wire(
      "HTTP/1.1 302 Found|Alt-Svc: h3=\":443\"|Location: http://denied.test/|alt-svc: clear|Content-Length: 2||hi"));
  EXPECT_EQ(agent.message(), wire("HTTP/1.1 302 Found|Location: http://denied.test/|Content-Length: 2||hi"));
}

// T100
TEST_F(Http1Exchange, AHostileOriginReachesNoLaterRequest) {
  struct Case {
    std::string why;
    std::string answer;
  };
  const std::string fake = "HTTP/1.1 200 OK|Content-Length: 4||FAKE";
  for (const auto& c :
       {Case{"length and chunked, and no chunk", "HTTP/1.1 200 OK|Content-Length: 5|Transfer-Encoding: chunked||hello"},
        Case{"two lengths", "HTTP/1.1 200 OK|Content-Length: 5|Content-Length: 6||hello!"},
        Case{"bare CR", "HTTP/1.1 200 OK|Content-Length: 2\rX: y||hi"}, Case{"not HTTP", "SSH-2.0-x|"},
        Case{"an unasked switch", "HTTP/1.1 101 Switching Protocols|Upgrade: websocket|Connection: upgrade||"},
        Case{"a chunk that overflows", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||ffffffffffffffffff|x"},
        Case{"too large a head", "HTTP/1.1 200 OK|X: " + std::string(70000, 'x') + "||"}}) {
    auto& agent = client();
    agent.send(wire(kGet));
    auto server = origin("127.0.0.2");
    server.head();
    server.send(wire(c.answer + fake));
    const std::string seen = agent.rest();
    EXPECT_THAT(seen, StartsWith("HTTP/1.1 502 Cannot reach: ")) << c.why;
    EXPECT_THAT(seen, HasSubstr("X-Soleroute-Reason: upstream_failed")) << c.why;
    EXPECT_THAT(seen, Not(HasSubstr("FAKE"))) << c.why;
  }
  auto& agent = client();
  agent.send(wire(kGet));
  auto server = origin("127.0.0.2");
  server.head();
  for (int i = 0; i <= kMaxInterimResponses; ++i) server.send(wire("HTTP/1.1 103 Early Hints||"));
  EXPECT_THAT(agent.until("502 Cannot reach"), EndsWith("502 Cannot reach"));
}

TEST_F(Http1Exchange, AnAnswerQueuedInAdvanceIsNeverDelivered) {
  for (const std::string answer :
       {"HTTP/1.1 200 OK|Content-Length: 2||hi", "HTTP/1.1 204 No Content||", "HTTP/1.1 304 Not Modified||",
        "HTTP/1.1 200 OK|Transfer-Encoding: chunked||2|hi|0||",
        "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: close||2|hi|0||"}) {
    auto& agent = client();
    agent.send(wire(kGet));
    auto server = origin("127.0.0.2");
    server.head();
    server.send(wire(answer + "HTTP/1.1 200 OK|Content-Length: 4||FAKE"));
    EXPECT_EQ(agent.rest(), wire(answer)) << "the connection ends with the answer";
  }
}

// What is doubtful ends with its connections: a request that is there already gets no answer, neither from the first
// one's body nor from what the origin queued.
TEST_F(Http1Exchange, NothingFollowsADoubtfulAnswer) {
  const std::string chunked = "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: close||2|hi|0||";
  const std::string length = "HTTP/1.1 200 OK|Content-Length: 2|Connection: close||hi";
  const std::string none = "HTTP/1.1 204 No Content|Connection: close||";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"HTTP/1.1 200 OK|Content-Length: 30|Transfer-Encoding: chunked||2|hi|0||", chunked},
      {"HTTP/1.1 200 OK|Transfer-Encoding: chunked, chunked||2|hi|0||", chunked},
      {"HTTP/1.1 200 OK|Transfer-Encoding : chunked||2|hi|0||", chunked},
      {"HTTP/1.0 200 OK|Connection: keep-alive|Transfer-Encoding: chunked||2|hi|0||", chunked},
      {"||HTTP/1.1 200 OK|Content-Length: 2||hi", length},
      {"http/1.1 200 OK|Content-Length: 2||hi", length},
      {"HTTP/1.2 200 OK|Content-Length: 2||hi", length},
      {"HTTP/1.1 200 OK|Content-Length:| 2||hi", length},
      {"HTTP/1.1 200 OK|Content-Length: 2|Transfer-Encoding: identity||hi", length},
      {"HTTP/1.1 204 No Content|Content-Length: 20||", none},
      {"HTTP/1.1 204 No Content|Transfer-Encoding: chunked||", none},
      {"HTTP/1.1 100 Continue|Content-Length: 3||HTTP/1.1 200 OK|Content-Length: 2||hi",
       "HTTP/1.1 100 Continue||HTTP/1.1 200 OK|Content-Length: 2||hi"},
  };
  for (const auto& [sent, passed] : cases) {
    auto& agent = client();
    agent.send(wire(kGet) + wire(kGet));
    auto server = origin("127.0.0.2");
    server.head();
    server.send(wire(sent + "HTTP/1.1 200 OK|Content-Length: 4||FAKE"));
    EXPECT_EQ(agent.rest(), wire(passed)) << sent;
    EXPECT_EQ(server.rest(), "") << "the second request never comes: " << sent;
  }
}

TEST_F(Http1Exchange, AFreshConnectionThatDiesIsA502) {
  auto& agent = client();
  agent.send(wire(kGet));
  origin("127.0.0.2").head();
  const std::string page = agent.rest();
  EXPECT_THAT(page, StartsWith("HTTP/1.1 502 Cannot reach: "));
  EXPECT_THAT(page, HasSubstr("allowed.test"));
  EXPECT_EQ(records(1).at(0).status, 502);
}

TEST_F(Http1Exchange, AClientThatGoesAwayEndsItsUpload) {
  auto& agent = client();
  agent.send(wire("POST / HTTP/1.1|Host: allowed.test|Content-Length: 100||half"));
  auto server = origin("127.0.0.2");
  EXPECT_THAT(server.until("half"), HasSubstr("POST"));
  agent.finish();
  server.rest();
  EXPECT_THAT(agent.rest(), EndsWith("<reset>"));
  EXPECT_THAT(records(1).at(0).detail, HasSubstr("not finished"));
}

// T082, T100: nothing of a body that turns out wrong is taken for another message.
TEST_F(Http1Exchange, AMalformedChunkEndsBothSides) {
  auto& agent = client();
  agent.send(wire("POST / HTTP/1.1|Host: allowed.test|Transfer-Encoding: chunked||5|hello|"));
  auto server = origin("127.0.0.2");
  server.until("hello\r\n");
  agent.send(wire("+5|GET /CANARY HTTP/1.1|Host: denied.test||"));
  EXPECT_THAT(agent.rest(), StartsWith("HTTP/1.1 400 Bad Request"));
  EXPECT_THAT(server.rest(), Not(HasSubstr("CANARY")));
  const auto record = records(1).at(0);
  EXPECT_FALSE(record.allowed);
  EXPECT_EQ(record.reason, "malformed");
}

// T222: what an answer's head took is let go of before its body, however long that lasts.
TEST_F(Http1Exchange, HoldsNoHeadWhileABodyGoesOn) {
  for (const std::string more : {"", "Alt-Svc: h3=\":443\"\r\n", "X-Folded: a\r\n b\r\n"}) {
    auto& agent = client();
    agent.send(wire("GET / HTTP/1.1|Host: allowed.test||"));
    auto origin = this->origin("127.0.0.2");
    (void)origin.head();
    std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + more;
    for (int i = 0; i < 1000; ++i) head += "Set-Cookie: a=" + std::string(40, 'c') + "\r\n";
    origin.send(head + "\r\nhe");
    EXPECT_GT(agent.head().size(), 50000U) << more;
    EXPECT_EQ(agent.exactly(2), "he");
    EXPECT_EQ(held_in_the_end(), 0U) << more;
    origin.send("llo");
    EXPECT_EQ(agent.exactly(3), "llo");
    agent.send(wire("GET / HTTP/1.1|Host: allowed.test|X-Pad: ") + std::string(50000, 'p') + wire("||"));
    (void)origin.head();
    origin.send(wire("HTTP/1.1 200 OK|Content-Length: 2||ok"));
    EXPECT_THAT(agent.message(), EndsWith("ok"));
    EXPECT_EQ(held_in_the_end(), 0U) << "between two requests";
  }
}

TEST_F(Http1Exchange, AReloadClosesWhatItDeniesAndNothingElse) {
  auto& agent = client();
  auto& idle = client();
  auto& other = client("127.0.0.3");
  agent.send(wire(kGet));
  auto server = origin("127.0.0.2");
  server.head();
  server.send(wire("HTTP/1.1 200 OK||endless"));
  agent.until("endless");
  idle.send(wire(kGet));
  auto kept = origin("127.0.0.2");
  kept.head();
  kept.send(wire(kOk));
  EXPECT_EQ(idle.message(), wire(kOk));
  other.send(wire("GET / HTTP/1.1|Host: other.test||"));
  auto second = origin("127.0.0.3");
  second.head();
  reload("domains: [{host: other.test, addresses: [127.0.0.0/8]}]");
  EXPECT_EQ(agent.rest(), "<reset>");
  EXPECT_EQ(idle.rest(), "<reset>");
  server.rest();
  second.send(wire(kOk));
  EXPECT_EQ(other.message(), wire(kOk));
}

}  // namespace
}  // namespace soleroute::gateway::http::h1
