// The HTTP/1 parsers beside Boost.Beast's: what both accept must mean the same to both.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "sniffer/http1_chunked.h"
#include "sniffer/http1_head.h"

namespace soleroute::sniffer {
namespace {

namespace http = boost::beast::http;
using Random = std::mt19937;

std::size_t below(Random& random, std::size_t bound) {
  return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
}

// '|' stands for CRLF.
std::string wire(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += "\r\n";
    if (c != '|') out += c;
  }
  return out;
}

// What a head means, as far as it decides where the message goes and ends.
struct Meaning {
  std::string method;
  std::string target;
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;
  bool chunked = false;
  std::uint64_t length = 0;
  bool keep_alive = false;
  std::size_t size = 0;
  bool operator==(const Meaning&) const = default;
};

template <bool kRequest>
std::optional<Meaning> beast_reads(const std::string& bytes) {
  http::parser<kRequest, http::empty_body> parser;
  parser.header_limit(1 << 20);
  parser.body_limit(boost::none);
  boost::system::error_code error;
  Meaning meaning;
  while (!parser.is_header_done() && !error && meaning.size < bytes.size()) {
    meaning.size += parser.put(boost::asio::buffer(bytes.data() + meaning.size, bytes.size() - meaning.size), error);
  }
  if (error || !parser.is_header_done()) return std::nullopt;
  const auto& message = parser.get();
  if constexpr (kRequest) {
    meaning.method = message.method_string();
    meaning.target = message.target();
  } else {
    meaning.status = message.result_int();
  }
  for (const auto& field : message) meaning.fields.emplace_back(field.name_string(), field.value());
  meaning.chunked = parser.chunked();
  meaning.length = parser.content_length().value_or(0);
  meaning.keep_alive = parser.keep_alive();
  return meaning;
}

template <class Head>
Meaning meaning_of(const Head& head) {
  Meaning meaning;
  for (const auto& field : head.fields) meaning.fields.emplace_back(field.name, field.value);
  meaning.chunked = head.framing == BodyFraming::kChunked;
  meaning.length = head.content_length;
  meaning.keep_alive = head.keep_alive;
  meaning.size = head.size;
  return meaning;
}

std::optional<Meaning> read_request(const std::string& bytes) {
  const auto parsed = parse_request_head(base::as_bytes(bytes));
  if (!parsed.complete()) return std::nullopt;
  Meaning meaning = meaning_of(parsed.value());
  meaning.method = parsed.value().method;
  meaning.target = parsed.value().target;
  return meaning;
}

// `bytes` becomes what is forwarded.
std::optional<Meaning> read_response(std::string& bytes) {
  auto parsed = parse_response_head(base::as_bytes(bytes), "GET");
  if (!parsed.complete()) return std::nullopt;
  if (parsed.value().plain) {
    bytes = *parsed.value().plain;
    parsed = parse_response_head(base::as_bytes(bytes), "GET");
    EXPECT_TRUE(parsed.complete() && !parsed.value().plain) << bytes;
  }
  Meaning meaning = meaning_of(parsed.value());
  meaning.status = parsed.value().status;
  return meaning;
}

struct Tally {
  int both = 0;
  int neither = 0;
  int only_beast = 0;
  int only_here = 0;
};

void compare(const std::optional<Meaning>& ours, const std::optional<Meaning>& theirs, const std::string& bytes,
             Tally& tally) {
  (ours ? (theirs ? tally.both : tally.only_here) : (theirs ? tally.only_beast : tally.neither)) += 1;
  if (!ours || !theirs) return;
  EXPECT_EQ(ours->method, theirs->method) << bytes;
  EXPECT_EQ(ours->target, theirs->target) << bytes;
  EXPECT_EQ(ours->status, theirs->status) << bytes;
  EXPECT_EQ(ours->fields, theirs->fields) << bytes;
  EXPECT_EQ(ours->chunked, theirs->chunked) << bytes;
  EXPECT_EQ(ours->length, theirs->length) << bytes;
  EXPECT_EQ(ours->keep_alive, theirs->keep_alive) << bytes;
  EXPECT_EQ(ours->size, theirs->size) << bytes;
}

std::string mutated(std::string bytes, Random& random) {
  constexpr std::string_view kInteresting = "\r\n\t :;,|/?#@[]%0\x0b\x7f\xc3";
  for (std::size_t change = 0; change < 1 + below(random, 3); ++change) {
    const std::size_t at = below(random, bytes.size());
    switch (below(random, 4)) {
      case 0:
        bytes[at] = static_cast<char>(below(random, 256));
        break;
      case 1:
        bytes.erase(at, 1 + below(random, 3));
        break;
      case 2:
        bytes.insert(at, 1, kInteresting[below(random, kInteresting.size())]);
        break;
      default:
        bytes[at] = kInteresting[below(random, kInteresting.size())];
        break;
    }
    if (bytes.empty()) return bytes;
  }
  return bytes;
}

TEST(Http1BesideBeast, RequestsThatBothAcceptMeanTheSame) {
  const std::vector<std::string> seeds = {
      wire("GET /a?b=c HTTP/1.1|Host: allowed.test|Accept: */*|User-Agent: curl/8||"),
      wire("POST /x HTTP/1.1|Host: allowed.test:80|Content-Length: 12|Connection: close||"),
      wire("PUT /x HTTP/1.1|Host: allowed.test|Transfer-Encoding: chunked|Expect: 100-continue||"),
      wire("GET http://allowed.test/ HTTP/1.0|Host: allowed.test|Connection: keep-alive||"),
      wire("GET / HTTP/1.1|Host: allowed.test|Upgrade: websocket|Connection: keep-alive, Upgrade|"
           "Sec-WebSocket-Version: 13|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==||")};
  Random random(3);
  Tally tally;
  for (const auto& seed : seeds) {
    compare(read_request(seed), beast_reads<true>(seed), seed, tally);
    EXPECT_EQ(tally.only_beast + tally.only_here, 0) << "a control is refused: " << seed;
  }
  for (int round = 0; round < 20000; ++round) {
    const std::string bytes = mutated(seeds[below(random, seeds.size())], random);
    compare(read_request(bytes), beast_reads<true>(bytes), bytes, tally);
  }
  EXPECT_GT(tally.both, 2000);
  EXPECT_GT(tally.neither, 3000);
}

TEST(Http1BesideBeast, WhatIsForwardedOfResponsesMeansTheSame) {
  const std::vector<std::string> seeds = {wire("HTTP/1.1 200 OK|Content-Length: 12|Server: x||"),
                                          wire("HTTP/1.1 200 OK|Transfer-Encoding: chunked|Connection: close||"),
                                          wire("HTTP/1.0 404 Not Found|Content-Length: 3|Connection: keep-alive||"),
                                          wire("HTTP/1.1 103 Early Hints|Link: </a>||")};
  Random random(4);
  Tally tally;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = mutated(seeds[below(random, seeds.size())], random);
    auto ours = read_response(bytes);
    const auto theirs = beast_reads<false>(bytes);
    // Beast's keep_alive() does not look at where the body ends; a body until the close ends the connection.
    if (ours && theirs && theirs->length == 0 && !theirs->chunked) ours->keep_alive = theirs->keep_alive;
    compare(ours, theirs, bytes, tally);
  }
  EXPECT_GT(tally.both, 2000);
  EXPECT_GT(tally.neither, 3000);
}

// Where this parser and Beast 1.81 part, and why. A change of either side shows here.
TEST(Http1BesideBeast, PartsOnlyWhereListed) {
  struct Case {
    std::string why;
    std::string bytes;
    bool beast;
    bool here;
  };
  const std::vector<Case> cases = {
      {"control", "GET / HTTP/1.1|Host: a.test||", true, true},
      {"no Host: RFC 9112 section 3.2", "GET / HTTP/1.1|X: y||", true, false},
      {"two Hosts", "GET / HTTP/1.1|Host: a.test|Host: b.test||", true, false},
      {"a Host that is no host", "GET / HTTP/1.1|Host: a.test/b||", true, false},
      {"absolute-form and Host disagree", "GET http://a.test/ HTTP/1.1|Host: b.test||", true, true},
      {"a folded field: RFC 9112 section 5.2", "GET / HTTP/1.1|Host: a.test|X: a| b||", true, false},
      {"a coding besides chunked", "GET / HTTP/1.1|Host: a.test|Transfer-Encoding: gzip, chunked||", true, false},
      {"the same length twice", "GET / HTTP/1.1|Host: a.test|Content-Length: 5|Content-Length: 5||", true, false},
      {"a length with a leading zero", "GET / HTTP/1.1|Host: a.test|Content-Length: 05||", true, false},
      {"chunked on 1.0", "GET / HTTP/1.0|Host: a.test|Transfer-Encoding: chunked||", true, false},
      {"length and chunked", "GET / HTTP/1.1|Host: a.test|Content-Length: 5|Transfer-Encoding: chunked||", false,
       false},
      {"another version", "GET / HTTP/1.2|Host: a.test||", false, false},
      {"bare LF", "GET / HTTP/1.1\nHost: a.test\n\n", false, false},
      {"one empty line before: RFC 9112 section 2.2", "|GET / HTTP/1.1|Host: a.test||", false, true},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(beast_reads<true>(wire(c.bytes)).has_value(), c.beast) << c.why;
    EXPECT_EQ(read_request(wire(c.bytes)).has_value(), c.here) << c.why;
  }
}

// A chunked body, read by Beast; nothing if refused or not whole. The number of bytes it takes.
std::optional<std::size_t> beast_reads_body(const std::string& body) {
  http::request_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  parser.eager(true);
  boost::system::error_code error;
  const std::string head = wire("POST / HTTP/1.1|Host: a.test|Transfer-Encoding: chunked||");
  const std::string bytes = head + body;
  std::size_t taken = 0;
  while (!parser.is_done() && !error && taken < bytes.size()) {
    const auto used = parser.put(boost::asio::buffer(bytes.data() + taken, bytes.size() - taken), error);
    taken += used;
    if (used == 0) break;
  }
  if (error || !parser.is_done()) return std::nullopt;
  return taken - head.size();
}

TEST(Http1BesideBeast, ChunkedBodiesThatBothAcceptEndAtTheSamePlace) {
  const std::vector<std::string> seeds = {wire("5|hello|6| world|0||GET /"),
                                          wire("a;x=y|0123456789|0|Digest: z||GET /"), wire("0||"),
                                          wire("00005|hello|0||more")};
  Random random(5);
  int both = 0;
  int neither = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::string bytes = mutated(seeds[below(random, seeds.size())], random);
    ChunkedScanner scanner;
    const std::size_t taken = scanner.feed(base::as_bytes(bytes));
    const auto theirs = beast_reads_body(bytes);
    const bool done = scanner.state() == ChunkedScanner::State::kDone;
    both += done && theirs ? 1 : 0;
    neither += !done && !theirs ? 1 : 0;
    if (done && theirs) {
      EXPECT_EQ(taken, *theirs) << bytes;
    }
  }
  EXPECT_GT(both, 2000);
  EXPECT_GT(neither, 2000);
}

}  // namespace
}  // namespace soleroute::sniffer
