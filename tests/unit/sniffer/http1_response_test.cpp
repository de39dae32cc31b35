// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sniffer/http1_head.h"

namespace soleroute::sniffer {
namespace {

using namespace std::string_literals;

// '|' stands for CRLF.
std::string wire(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += "\r\n";
    if (c != '|') out += c;
  }
  return out;
}

struct Case {
  std::string why;
  std::string bytes;
  std::string expected;
  std::string method = "GET";
};

// How the body is framed, or why not.
std::string framing(const Case& c) {
  const std::string bytes = wire(c.bytes);
  const auto parsed = parse_response_head(base::as_bytes(bytes), c.method);
  if (parsed.need_more()) return "need more";
  if (parsed.malformed()) return "malformed";
  const auto& head = parsed.value();
  const std::string stays = head.keep_alive ? ", stays" : ", closes";
  switch (head.framing) {
    case BodyFraming::kNone:
      return "none" + stays;
    case BodyFraming::kLength:
      return std::to_string(head.content_length) + stays;
    case BodyFraming::kChunked:
      return "chunked" + stays;
    case BodyFraming::kUntilClose:
      return "until close" + stays;
  }
  return "";
}

void expect_framing(const std::vector<Case>& cases) {
  for (const auto& c : cases) EXPECT_EQ(framing(c), c.expected) << c.why << "\n" << c.bytes;
}

TEST(Http1Response, WhatIsNoHttpIsToldFromItsFirstBytesWithoutALine) {
  const std::string alert("\x15\x03\x03\x00\x02\x02\x28", 7);
  ASSERT_TRUE(worth_parsing_again(base::as_bytes(alert), 0));
  EXPECT_TRUE(parse_response_head(base::as_bytes(alert), "GET").malformed());
  const std::string begun = "HTT";
  ASSERT_TRUE(worth_parsing_again(base::as_bytes(begun), 0));
  EXPECT_TRUE(parse_response_head(base::as_bytes(begun), "GET").need_more());
  EXPECT_FALSE(worth_parsing_again(base::as_bytes("HTTP/1.1 2"s), begun.size())) << "then line by line";
}

TEST(Http1Response, ReadsAnOrdinaryHead) {
  const std::string bytes = wire("HTTP/1.1 200 Everything fine|Server: x|Content-Length: 5||hello");
  const auto parsed = parse_response_head(base::as_bytes(bytes), "GET");
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().status, 200);
  EXPECT_EQ(parsed.value().size, bytes.size() - 5);
  EXPECT_EQ(parsed.value().fields.size(), 2U);
  EXPECT_FALSE(parsed.value().interim());
}

TEST(Http1Response, FramesTheBodyAsRfc9112Says) {
  expect_framing({
      {"a length", "HTTP/1.1 200 OK|Content-Length: 5||", "5, stays"},
      {"a length of nothing", "HTTP/1.1 200 OK|Content-Length: 0||", "none, stays"},
      {"chunked", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||", "chunked, stays"},
      {"neither", "HTTP/1.1 200 OK||", "until close, closes"},
      {"asked to close", "HTTP/1.1 200 OK|Connection: close|Content-Length: 5||", "5, closes"},
      {"HTTP/1.0", "HTTP/1.0 200 OK|Content-Length: 5||", "5, closes"},
      {"HTTP/1.0 that stays", "HTTP/1.0 200 OK|Connection: keep-alive|Content-Length: 5||", "5, stays"},
      {"no reason phrase", "HTTP/1.1 200 |Content-Length: 5||", "5, stays"},
      {"nor the space before it", "HTTP/1.1 200|Content-Length: 5||", "5, stays"},
      {"the answer to HEAD", "HTTP/1.1 200 OK|Content-Length: 5||", "none, stays", "HEAD"},
      {"the chunked answer to HEAD", "HTTP/1.1 200 OK|Transfer-Encoding: chunked||", "none, stays", "HEAD"},
      {"the answer to HEAD without a length", "HTTP/1.1 200 OK||", "none, stays", "HEAD"},
      {"204", "HTTP/1.1 204 No Content||", "none, stays"},
      {"204 with a length of nothing", "HTTP/1.1 204 No Content|Content-Length: 0||", "none, stays"},
      {"304 with the length of what is cached", "HTTP/1.1 304 Not Modified|Content-Length: 500||", "none, stays"},
      {"304 chunked", "HTTP/1.1 304 Not Modified|Transfer-Encoding: chunked||", "none, closes"},
      {"100", "HTTP/1.1 100 Continue||", "none, stays"},
      {"103", "HTTP/1.1 103 Early Hints|Link: </a>||", "none, stays"},
  });
}

// T100
TEST(Http1Response, RefusesWhatTwoReadersWouldFrameDifferently) {
  expect_framing({
      {"two lengths", "HTTP/1.1 200 OK|Content-Length: 5|Content-Length: 6||", "malformed"},
      {"two lengths in one field", "HTTP/1.1 200 OK|Content-Length: 5, 6||", "malformed"},
      {"a length and none", "HTTP/1.1 200 OK|Content-Length: 5,||", "malformed"},
      {"a negative length", "HTTP/1.1 200 OK|Content-Length: -5||", "malformed"},
      {"a length with a word", "HTTP/1.1 200 OK|Content-Length: 5abc||", "malformed"},
      {"an empty length", "HTTP/1.1 200 OK|Content-Length:||", "malformed"},
      {"a length out of range", "HTTP/1.1 200 OK|Content-Length: 99999999999999999999||", "malformed"},
      {"an unknown coding", "HTTP/1.1 200 OK|Transfer-Encoding: gzip, chunked||", "malformed"},
      {"a coding in disguise", "HTTP/1.1 200 OK|Transfer-Encoding: xchunked||", "malformed"},
      {"a coding behind a control character", "HTTP/1.1 200 OK|Transfer-Encoding: \vchunked||", "malformed"},
      {"a coding with a parameter", "HTTP/1.1 200 OK|Transfer-Encoding: chunked;q=1||", "malformed"},
      {"chunked before another coding", "HTTP/1.1 200 OK|Transfer-Encoding: chunked, identity||", "malformed"},
      {"five empty lines before", "|||||HTTP/1.1 200 OK||", "malformed"},
      {"a tab for a version", "HTTP/1.\t 200 OK||", "malformed"},
      {"bare CR", "HTTP/1.1 200 OK|Content-Length: 5\rX: y||", "malformed"},
      {"folded before the first field", "HTTP/1.1 200 OK| X: a|Content-Length: 5||", "malformed"},
      {"folded from one length to two", "HTTP/1.1 200 OK|Content-Length: 5| 6||", "malformed"},
      {"a folded coding", "HTTP/1.1 200 OK|Transfer-Encoding: chun| ked||", "malformed"},
      {"two codings", "HTTP/1.1 200 OK|Transfer-Encoding: gzip|Transfer-Encoding: chunked||", "malformed"},
      {"NUL in a name", "HTTP/1.1 200 OK|X\0Y: a||"s, "malformed"},
      {"a line without a colon", "HTTP/1.1 200 OK|hello|Content-Length: 5||", "malformed"},
      {"NUL", "HTTP/1.1 200 OK|X: a\0b||"s, "malformed"},
      {"HTTP/0.9", "<html>", "malformed"},
      {"HTTP/2", "HTTP/2 200 OK||", "malformed"},
      {"a status of two digits", "HTTP/1.1 20 OK||", "malformed"},
      {"a status of four digits", "HTTP/1.1 2000 OK||", "malformed"},
      {"a status below the range", "HTTP/1.1 099 OK||", "malformed"},
      {"another protocol", "SSH-2.0-x|", "malformed"},
  });
  std::string many = "HTTP/1.1 200 OK|";
  for (int i = 0; i < 100000; ++i) many += "Set-Cookie: a=b|";
  expect_framing({{"too many fields", many + "|", "malformed"},
                  {"too large a head", "HTTP/1.1 200 OK|X: " + std::string(kMaxHeadBytes, 'x') + "||", "malformed"}});
}

// What curl and Chromium accept, beside what the grammar of RFC 9112 has; what is forwarded has one reading again.
TEST(Http1Response, PutsWhatClientsAcceptIntoPlainForm) {
  struct Row {
    std::string why;
    std::string bytes;
    std::string framing;
    std::string forwarded;  // empty: as it came
  };
  const std::vector<Row> rows = {
      {"no oddity", "HTTP/1.1 200 OK|X:  a|Content-Length: 5||", "5, stays", ""},
      {"a status of a site's own (LinkedIn)", "HTTP/1.1 999 Request denied|Content-Length: 5||", "5, stays", ""},
      {"a status just out of the classes", "HTTP/1.1 600 OK|Content-Length: 5||", "5, stays", ""},
      {"one length twice (RFC 9110 section 8.6)", "HTTP/1.1 200 OK|Content-Length: 5|X: y|Content-Length: 5||",
       "5, stays", "HTTP/1.1 200 OK|Content-Length: 5|X: y||"},
      {"one length twice in one field", "HTTP/1.1 200 OK|Content-Length: 5, 5||", "5, stays",
       "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"leading zeros", "HTTP/1.1 200 OK|Content-Length: 005|Content-Length: 5||", "5, stays",
       "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"a length of many zeros", "HTTP/1.1 200 OK|Content-Length: 000||", "none, stays",
       "HTTP/1.1 200 OK|Content-Length: 0||"},
      {"chunked 204, whose body may follow", "HTTP/1.1 204 No Content|Transfer-Encoding: chunked|X: y||",
       "none, closes", "HTTP/1.1 204 No Content|X: y|Connection: close||"},
      {"204 with a length", "HTTP/1.1 204 No Content|Content-Length: 5||", "none, closes",
       "HTTP/1.1 204 No Content|Connection: close||"},
      {"the coding of RFC 2616 that is none", "HTTP/1.1 200 OK|Transfer-Encoding: identity|Content-Length: 5||",
       "5, closes", "HTTP/1.1 200 OK|Content-Length: 5|Connection: close||"},
      {"lines that end in LF", "HTTP/1.1 200 OK\nX: a\nContent-Length: 5\n\n", "5, stays",
       "HTTP/1.1 200 OK|X: a|Content-Length: 5||"},
      {"some of them", "HTTP/1.1 200 OK|X: a\nContent-Length: 5|\n", "5, stays",
       "HTTP/1.1 200 OK|X: a|Content-Length: 5||"},
      {"a folded field (RFC 9112 section 5.2)", "HTTP/1.1 200 OK|X: a|\t b|  c|Content-Length: 5||", "5, stays",
       "HTTP/1.1 200 OK|X: a b c|Content-Length: 5||"},
      {"a blank before a colon (RFC 9112 section 5.1)", "HTTP/1.1 200 OK|Content-Length: 5|X\t:y||", "5, stays",
       "HTTP/1.1 200 OK|Content-Length: 5|X: y||"},
      {"a blank before the colon of a field that frames", "HTTP/1.1 200 OK|Content-Length : 5||", "5, closes",
       "HTTP/1.1 200 OK|Content-Length: 5|Connection: close||"},
      {"a folded length", "HTTP/1.1 200 OK|Content-Length:|  5||", "5, closes",
       "HTTP/1.1 200 OK|Content-Length: 5|Connection: close||"},
      {"length and chunked (RFC 9112 section 6.3)",
       "HTTP/1.1 200 OK|Connection: keep-alive|Content-Length: 5|Transfer-Encoding: chunked||", "chunked, closes",
       "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: close||"},
      {"no length beside chunked", "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Content-Length: x||", "chunked, closes",
       "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: close||"},
      {"chunked and a length on HTTP/1.0", "HTTP/1.0 200 OK|Transfer-Encoding: chunked|Content-Length: 5||",
       "chunked, closes", "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: close||"},
      {"identity before chunked", "HTTP/1.1 200 OK|Transfer-Encoding: identity, chunked||", "chunked, closes",
       "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: close||"},
      {"another coding, which ends with the connection", "HTTP/1.1 200 OK|Transfer-Encoding: gzip||",
       "until close, closes", ""},
      {"the same with a length", "HTTP/1.1 200 OK|Transfer-Encoding: gzip|Content-Length: 5||", "until close, closes",
       "HTTP/1.1 200 OK|Transfer-Encoding: gzip|Connection: close||"},
      {"a signed length", "HTTP/1.1 200 OK|Content-Length: +5||", "5, stays", "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"1xx with a body", "HTTP/1.1 103 Early Hints|Content-Length: 5|X: y||", "none, closes",
       "HTTP/1.1 103 Early Hints|X: y||"},

      {"two CR before every LF", "HTTP/1.1 200 OK\r|Content-Length: 5\r|\r|", "5, closes",
       "HTTP/1.1 200 OK|Content-Length: 5|Connection: close||"},
      {"two CR before LF", "HTTP/1.1 200 OK|X: a\r|Content-Length: 5||", "5, closes",
       "HTTP/1.1 200 OK|X: a|Content-Length: 5|Connection: close||"},
      {"a CR within a value", "HTTP/1.1 200 OK|X: a\rContent-Length: 2|Content-Length: 5||", "5, closes",
       "HTTP/1.1 200 OK|X: a Content-Length: 2|Content-Length: 5|Connection: close||"},
      {"control characters in a value", "HTTP/1.1 200 OK|X: \001a\v\177b|Content-Length: 5||", "5, stays",
       "HTTP/1.1 200 OK|X: a  b|Content-Length: 5||"},
      {"a control character in a name", "HTTP/1.1 200 OK|X\x01: a|Content-Length: 5||", "5, stays",
       "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"NUL in the reason", "HTTP/1.1 200 O\0K|Content-Length: 5||"s, "5, stays",
       "HTTP/1.1 200 O K|Content-Length: 5||"},
      {"304 with a coding", "HTTP/1.1 304 Not Modified|Transfer-Encoding: chunked|Content-Length: 5||", "none, closes",
       "HTTP/1.1 304 Not Modified|Content-Length: 5|Connection: close||"},
      {"a blank behind chunked", "HTTP/1.1 200 OK|Transfer-Encoding: chunked ||", "chunked, stays",
       "HTTP/1.1 200 OK|Transfer-Encoding: chunked||"},
      {"304 with a length that is no number", "HTTP/1.1 304 Not Modified|Content-Length: x|X: y||", "none, closes",
       "HTTP/1.1 304 Not Modified|X: y|Connection: close||"},
      {"a control character in the reason", "HTTP/1.1 200 O\x0bK|Content-Length: 5||", "5, stays",
       "HTTP/1.1 200 O K|Content-Length: 5||"},
      {"TE in an answer", "HTTP/1.1 200 OK|TE: chunked|Content-Length: 5||", "5, stays",
       "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"another minor version", "HTTP/1.2 200 OK|Content-Length: 5||", "5, closes",
       "HTTP/1.1 200 OK|Content-Length: 5|Connection: close||"},
      {"a version in lower case", "http/1.0 200 OK|Content-Length: 5||", "5, closes",
       "HTTP/1.0 200 OK|Content-Length: 5|Connection: close||"},
      {"a streaming server", "ICY 200 OK|X: y||", "until close, closes", "HTTP/1.0 200 OK|X: y|Connection: close||"},
      {"two spaces", "HTTP/1.1  200 OK|Content-Length: 5||", "5, stays", "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"a tab", "HTTP/1.1\t200\tOK|Content-Length: 5||", "5, stays", "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"an empty line before", "|HTTP/1.1 200 OK|Content-Length: 5||", "5, closes",
       "HTTP/1.1 200 OK|Content-Length: 5|Connection: close||"},
      {"a tab before the length", "HTTP/1.1 200 OK|Content-Length:\t5||", "5, stays",
       "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"no reason phrase", "HTTP/1.1 200|Content-Length: 5||", "5, stays", ""},
      {"a framing field named by Connection",
       "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: Transfer-Encoding||", "chunked, stays",
       "HTTP/1.1 200 OK|Transfer-Encoding: chunked||"},
      {"the same beside others",
       "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: keep-alive, Transfer-Encoding, X-A||", "chunked, stays",
       "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: keep-alive, X-A||"},
      {"a parameter in Connection", "HTTP/1.1 200 OK|Connection: keep-alive, max=100|Content-Length: 5||", "5, stays",
       "HTTP/1.1 200 OK|Connection: keep-alive|Content-Length: 5||"},
      {"a close that is said beside it", "HTTP/1.1 200 OK|Connection: close, Content-Length|Content-Length: 5||",
       "5, closes", "HTTP/1.1 200 OK|Connection: close|Content-Length: 5||"},
      {"chunked twice in one field", "HTTP/1.1 200 OK|Transfer-Encoding: chunked, chunked||", "chunked, closes",
       "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: close||"},
      {"chunked in two fields", "HTTP/1.1 200 OK|Transfer-Encoding: chunked|X: y|transfer-encoding: Chunked||",
       "chunked, closes", "HTTP/1.1 200 OK|Transfer-Encoding: chunked|X: y|Connection: close||"},
      {"chunked on HTTP/1.0", "HTTP/1.0 200 OK|Connection: keep-alive|Transfer-Encoding: chunked||", "chunked, closes",
       "HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: close||"},
      {"a look-alike of a framing field", "HTTP/1.1 200 OK|Content_Length: 2|Content-Length: 5||", "5, stays",
       "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"a field without a name", "HTTP/1.1 200 OK|: x|Content-Length: 5||", "5, stays",
       "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"a framing name with a blank within", "HTTP/1.1 200 OK|Content Length: 5|X: y||", "until close, closes",
       "HTTP/1.1 200 OK|X: y|Connection: close||"},
      {"a name with a blank within", "HTTP/1.1 200 OK|X Y: z|Content-Length: 5||", "5, stays",
       "HTTP/1.1 200 OK|Content-Length: 5||"},
      {"HTTP/1.0 that stays, with LF", "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 5\n\n", "5, stays",
       "HTTP/1.0 200 OK|Connection: keep-alive|Content-Length: 5||"},
      {"an interim answer with LF", "HTTP/1.1 103 Early Hints\nLink: </a>\n\n", "none, stays",
       "HTTP/1.1 103 Early Hints|Link: </a>||"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(framing({row.why, row.bytes, {}}), row.framing) << row.why;
    const std::string bytes = wire(row.bytes) + "hello";
    const auto parsed = parse_response_head(base::as_bytes(bytes), "GET");
    ASSERT_TRUE(parsed.complete()) << row.why;
    EXPECT_EQ(parsed.value().size, bytes.size() - 5) << row.why;
    EXPECT_EQ(parsed.value().plain ? *parsed.value().plain : "", wire(row.forwarded)) << row.why;
    for (std::size_t size = 0; size + 5 < bytes.size(); ++size) {
      EXPECT_TRUE(parse_response_head(base::as_bytes(bytes).first(size), "GET").need_more()) << row.why << size;
    }
  }
}

TEST(Http1Response, TakesASiteThatSetsManyCookies) {
  std::string cookies = "HTTP/1.1 200 OK|";
  for (int i = 0; i < 140; ++i) cookies += "Set-Cookie: a" + std::to_string(i) + "=b|";
  expect_framing({{"140 cookies", cookies + "Content-Length: 5||", "5, stays"}});
}

TEST(Http1Response, HasABoundOfFields) {
  std::string fields;
  for (std::size_t i = 0; i < kMaxResponseFields; ++i) fields += "a: b\r\n";
  const auto most = "HTTP/1.1 200 OK\r\n" + fields + "\r\n";
  const auto more = "HTTP/1.1 200 OK\r\n" + fields + "a: b\r\n\r\n";
  EXPECT_TRUE(parse_response_head(base::as_bytes(most), "GET").complete());
  EXPECT_TRUE(parse_response_head(base::as_bytes(more), "GET").malformed());
}

TEST(Http1Response, KnowsASwitchToWebSocket) {
  const auto switches = [](const std::string& text) {
    const std::string bytes = wire(text);
    return parse_response_head(base::as_bytes(bytes), "GET").value().to_websocket;
  };
  EXPECT_TRUE(switches("HTTP/1.1 101 Switching Protocols|Upgrade: websocket|Connection: Upgrade||"));
  EXPECT_FALSE(switches("HTTP/1.1 101 Switching Protocols|Upgrade: h2c|Connection: Upgrade||"));
  EXPECT_FALSE(switches("HTTP/1.1 101 Switching Protocols|Upgrade: websocket||"));
  EXPECT_FALSE(switches("HTTP/1.1 200 OK|Upgrade: websocket|Connection: Upgrade||"));
}

TEST(Http1Response, AsksForMoreAtEveryTruncation) {
  const std::string bytes = wire("HTTP/1.1 200 OK|Content-Length: 3|Server: x||");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_TRUE(parse_response_head(base::as_bytes(bytes).first(size), "GET").need_more()) << size;
  }
}

}  // namespace
}  // namespace soleroute::sniffer
