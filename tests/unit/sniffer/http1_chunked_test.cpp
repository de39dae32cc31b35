// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/http1_chunked.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace soleroute::sniffer {
namespace {

using namespace std::string_literals;
using State = ChunkedScanner::State;

// '|' stands for CRLF.
std::string wire(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += "\r\n";
    if (c != '|') out += c;
  }
  return out;
}

struct Outcome {
  State state = State::kMore;
  std::size_t taken = 0;
  bool operator==(const Outcome&) const = default;
};

// Appends to `sent` what would be forwarded.
Outcome scan(const std::string& bytes, std::size_t step, std::string* sent = nullptr, Sender sender = Sender::kClient) {
  ChunkedScanner scanner(sender);
  std::size_t taken = 0;
  for (std::size_t at = 0; at < bytes.size() && scanner.state() == State::kMore; at += step) {
    taken += scanner.feed(base::as_bytes(bytes).subspan(at, std::min(step, bytes.size() - at)));
    if (sent != nullptr && scanner.state() != State::kMalformed) *sent += base::as_text(scanner.forwarded());
    if (at % 2 == 0) scanner.release();
  }
  return {scanner.state(), taken};
}

struct Case {
  std::string why;
  std::string bytes;
  State state;
  std::size_t left_over = 0;
};

void expect_states(const std::vector<Case>& cases) {
  for (const auto& c : cases) {
    const std::string bytes = wire(c.bytes);
    const Outcome whole = scan(bytes, bytes.size());
    EXPECT_EQ(whole.state, c.state) << c.why;
    if (c.state == State::kDone) {
      EXPECT_EQ(bytes.size() - whole.taken, c.left_over) << c.why;
    }
    for (const std::size_t step : {1U, 2U, 3U, 7U}) EXPECT_EQ(scan(bytes, step), whole) << c.why << ", by " << step;
  }
}

TEST(ChunkedScanner, FindsTheEndOfABody) {
  expect_states({
      {"an empty body", "0||", State::kDone},
      {"one chunk", "5|hello|0||", State::kDone},
      {"several", "5|hello|6| world|0||", State::kDone},
      {"upper and lower hexadecimal digits", "a|0123456789|A|0123456789|0||", State::kDone},
      {"leading zeros", "0005|hello|000||", State::kDone},
      {"extensions with blanks around their signs", "5 ; a = b ; c|hello|0\t;x||", State::kDone},
      {"a quoted pair", "5;a=\"\\\"\"|hello|0||", State::kDone},
      {"data that looks like the end", "7|0\r\n\r\n0\r|0||", State::kDone},
      {"extensions", "5;a=b;c=\"d e\"|hello|0;x||", State::kDone},
      {"trailers", "0|Digest: x|Server-Timing: y||", State::kDone},
      {"what follows is left", "5|hello|0||GET / HTTP/1.1|", State::kDone, 16},
      {"not yet whole", "5|hello|0|", State::kMore},
      {"within data", "5|hel", State::kMore},
  });
}

// T081, T082, T100
TEST(ChunkedScanner, RefusesWhatReadersDifferOn) {
  expect_states({
      {"control", "5|hello|0||", State::kDone},
      {"no size", "|hello|0||", State::kMalformed},
      {"no size but an extension", ";a|0||", State::kMalformed},
      {"a sign", "+5|hello|0||", State::kMalformed},
      {"a prefix", "0x5|hello|0||", State::kMalformed},
      {"a space before", " 5|hello|0||", State::kMalformed},
      {"a space after", "5 |hello|0||", State::kMalformed},
      {"an extension without a name", "5;|hello|0||", State::kMalformed},
      {"an extension of a value alone", "5;=b|hello|0||", State::kMalformed},
      {"an extension without its value", "5;a=|hello|0||", State::kMalformed},
      {"a quoted string without end", "5;a=\"|hello|0||", State::kMalformed},
      {"a quoted string that ends in a backslash", "5;a=\"b\\|hello|0||", State::kMalformed},
      {"something behind a quoted string", "5;a=\"b\"c|hello|0||", State::kMalformed},
      {"a separator in a name", "5;a(b|hello|0||", State::kMalformed},
      {"a blank at the end of an extension", "5;a |hello|0||", State::kMalformed},
      {"a comma between extensions", "5;a,b|hello|0||", State::kMalformed},
      {"a quoted string over two lines, with a request in it",
       "1;a=\"|X|37;b=\"|Y|0||GET /denied HTTP/1.1|Host: allowed.test||", State::kMalformed},
      {"bare LF after the size", "5\nhello|0||", State::kMalformed},
      {"bare CR after the size", "5\rhello|0||", State::kMalformed},
      {"bare LF after the data", "5|hello\n0||", State::kMalformed},
      {"bare LF in an extension", "5;a\nb|hello|0||", State::kMalformed},
      {"bare CR in an extension", "5;a\rb|hello|0||", State::kMalformed},
      {"a chunk longer than its size", "4|hello|0||", State::kMalformed},
      {"a chunk shorter than its size", "6|hello|0||", State::kMalformed},
      {"a size of sixteen digits", "1000000000000005|hello|0||", State::kMalformed},
      {"a size that overflows", "ffffffffffffffffff|hello|0||", State::kMalformed},
      {"endless zeros", std::string(100000, '0'), State::kMalformed},
      {"NUL in an extension", "5;\0|hello|0||"s, State::kMalformed},
      {"an extension without end", "5;" + std::string(kMaxChunkExtension + 2, 'a'), State::kMalformed},
      {"Content-Length in the trailers", "0|Content-Length: 5||", State::kMalformed},
      {"Transfer-Encoding in the trailers", "0|transfer-encoding: chunked||", State::kMalformed},
      {"Host in the trailers", "0|Host: denied.test||", State::kMalformed},
      {"Connection in the trailers", "0|Connection: close||", State::kMalformed},
      {"a trailer without a colon", "0|hello||", State::kMalformed},
      {"a trailer without a name", "0|: x||", State::kMalformed},
      {"a folded trailer", "0|X: a| b||", State::kMalformed},
      {"bare LF in the trailers", "0|X: a\n|", State::kMalformed},
      {"bare CR in the trailers", "0|X: a\rY: b||", State::kMalformed},
      {"a trailer without end", "0|X: " + std::string(kMaxTrailerBytes, 'a'), State::kMalformed},
      {"another request instead of trailers", "0|GET / HTTP/1.1|Host: denied.test||", State::kMalformed},
  });
  std::string many = "0|";
  for (std::size_t i = 0; i <= kMaxTrailerFields; ++i) many += "X: y|";
  expect_states({{"too many trailers", many + "|", State::kMalformed}});
}

struct Forwarded {
  std::string why;
  std::string bytes;
  std::string sent;  // of all that belongs to the body; "malformed"
};

void expect_forwarded(const std::vector<Forwarded>& cases, Sender sender) {
  for (const auto& c : cases) {
    const std::string bytes = wire(c.bytes);
    for (const std::size_t step : {bytes.size(), std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}}) {
      std::string sent;
      const auto outcome = scan(bytes, step, &sent, sender);
      if (outcome.state == State::kMalformed) sent = "malformed";
      EXPECT_EQ(sent, wire(c.sent)) << c.why << ", by " << step;
    }
  }
}

TEST(ChunkedScanner, ForwardsNoExtension) {
  expect_forwarded({{"none", "5|hello|0||", "5|hello|0||"},
                    {"one", "5;a=b|hello|0||", "5|hello|0||"},
                    {"one behind plain chunks", "5|hello|1|x|5;a=b|hello|1|x|0||", "5|hello|1|x|5|hello|1|x|0||"},
                    {"of the last chunk", "5|hello|0;a=\"; b\"|X: y||", "5|hello|0|X: y||"},
                    {"leading zeros", "0005|hello|000||", "5|hello|0||"},
                    {"upper case", "A|0123456789|0||", "A|0123456789|0||"},
                    {"trailers", "0|Digest: x|Server-Timing:  y||", "0|Digest: x|Server-Timing:  y||"},
                    {"and not what follows", "1;a|x|0||GET / HTTP/1.1|", "1|x|0||"}},
                   Sender::kClient);
}

TEST(ChunkedScanner, ForwardsNothingOfALineThatIsNotWhole) {
  ChunkedScanner scanner;
  const auto forwarded = [&scanner](std::string_view text) {
    EXPECT_EQ(scanner.feed(base::as_bytes(text)), text.size());
    return std::string(base::as_text(scanner.forwarded()));
  };
  EXPECT_EQ(forwarded("0"), "");
  EXPECT_EQ(forwarded("5;a=\""), "");
  EXPECT_EQ(forwarded("\"\r"), "");
  EXPECT_EQ(forwarded("\nhel"), "5\r\nhel");
  EXPECT_EQ(forwarded("lo"), "lo");
  EXPECT_EQ(forwarded("\r\n0\r\nX: "), "\r\n0\r\n");
  EXPECT_EQ(forwarded("y"), "");
  EXPECT_EQ(forwarded("\r\n\r"), "X: y\r\n");
  EXPECT_EQ(forwarded("\n"), "\r\n");
  EXPECT_EQ(scanner.state(), State::kDone);
}

// What curl and browsers take from an origin has one reading; they get it in plain form.
TEST(ChunkedScanner, PutsAnOriginsOdditiesIntoPlainForm) {
  expect_forwarded(
      {{"nothing odd", "5|hello|0|X: y||", "5|hello|0|X: y||"},
       {"a size padded with blanks", "5  |hello|0 ||", "5|hello|0||"},
       {"an extension of no grammar", "5;a=\"|hello|0;(|X: y||", "5|hello|0|X: y||"},
       {"lines that end in LF", "5\nhello\n0\nX: y\n\n", "5|hello|0|X: y||"},
       {"a trailer that frames", "0|X: y|Content-Length: 5|Z: y||", "0|X: y|Z: y||"},
       {"text behind the size", "5 hello|hello|0||", "malformed"},
       {"a chunk longer than its size", "4|hello|0||", "malformed"},
       {"a sign", "+5|hello|0||", "malformed"},
       {"a prefix", "0x5|hello|0||", "malformed"},
       {"a bare CR", "5\rhello|0||", "malformed"},
       {"NUL in an extension", "5;\0|hello|0||"s, "5|hello|0||"},
       {"a folded trailer, whose fold is left out", "0|X: a| b||", "0|X: a||"},
       {"a trailer that is none", "0|hello|: x|X: y||", "0|X: y||"},
       {"a CR within a trailer", "0|X: a\rY: b|Z: c||", "0|Z: c||"},
       {"two CR behind a size", "5\r|hello|0||", "5|hello|0||"},
       {"a CR in an extension", "5;a\rb|hello|0||", "5|hello|0||"},
       {"a control character in an extension", "5;\x01|hello|0||", "5|hello|0||"},
       {"a long extension", "5;" + std::string(kMaxOriginChunkExtension - 1, 'a') + "|hello|0||", "5|hello|0||"},
       {"an extension without end", "5;" + std::string(kMaxOriginChunkExtension + 1, 'a'), "malformed"},
       {"many leading zeros", std::string(200, '0') + "5|hello|0||", "5|hello|0||"},
       {"endless zeros", std::string(1000, '0'), "malformed"}},
      Sender::kOrigin);
}

// Python, and sites that forget the last line: nothing of the content is missing.
TEST(ChunkedScanner, AnOriginsBodyMayEndWithItsLastChunk) {
  const auto ended = [](std::string_view body, Sender sender) {
    ChunkedScanner scanner(sender);
    const std::string bytes = wire(body);
    EXPECT_EQ(scanner.feed(base::as_bytes(bytes)), bytes.size());
    return scanner.end_of_stream() ? std::string(base::as_text(scanner.forwarded())) : "cut short";
  };
  EXPECT_EQ(ended("5|hello|0|", Sender::kOrigin), "\r\n");
  EXPECT_EQ(ended("5|hello|0|X: y|", Sender::kOrigin), "\r\n");
  EXPECT_EQ(ended("5|hello|0|X: y", Sender::kOrigin), "\r\n") << "half a trailer is none";
  for (const char* const body : {"5|hello|", "5|hello|0", "5|hel", "5", ""}) {
    EXPECT_EQ(ended(body, Sender::kOrigin), "cut short") << body;
  }
  EXPECT_EQ(ended("5|hello|0|", Sender::kClient), "cut short");
}

TEST(ChunkedScanner, CountsHugeChunksWithoutHoldingThem) {
  ChunkedScanner scanner;
  const std::string start = "fffffffffffffff\r\n";
  EXPECT_EQ(scanner.feed(base::as_bytes(start)), start.size());
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 100; ++i) EXPECT_EQ(scanner.feed(base::as_bytes(piece)), piece.size());
  EXPECT_EQ(scanner.state(), State::kMore);
}

}  // namespace
}  // namespace soleroute::sniffer
