// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sniffer/http1_head.h"

namespace soleroute::sniffer {
namespace {

using namespace std::string_literals;

// '|' stands for CRLF, as in the tables of cases.
std::string wire(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += "\r\n";
    if (c != '|') out += c;
  }
  return out;
}

Parsed<RequestHead> parse(const std::string& bytes) {
  return parse_request_head(base::as_bytes(bytes));
}

// 0: complete, -1: need more, else the status to answer with.
int status_of(const std::string& bytes) {
  const auto parsed = parse(bytes);
  if (parsed.need_more()) return -1;
  return parsed.complete() ? 0 : parsed.fault().http_status;
}

constexpr int kOk = 0;

struct Case {
  std::string why;
  std::string bytes;  // '|' is CRLF
  int status;
};

void expect_statuses(const std::vector<Case>& cases) {
  for (const auto& c : cases) EXPECT_EQ(status_of(wire(c.bytes)), c.status) << c.why << "\n" << c.bytes;
}

std::string get(const std::string& fields) {
  return "GET / HTTP/1.1|Host: allowed.test|" + fields + "|";
}
std::string post(const std::string& fields) {
  return "POST / HTTP/1.1|Host: allowed.test|" + fields + "|";
}

TEST(Http1Request, ReadsAnOrdinaryHead) {
  const std::string bytes =
      wire("POST /a/b?c=d HTTP/1.1|Host: Allowed.Test:80|X-One:  two \t|Content-Length: 5||hello");
  const auto parsed = parse(bytes);
  ASSERT_TRUE(parsed.complete());
  const auto& head = parsed.value();
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/a/b?c=d");
  EXPECT_EQ(head.form, TargetForm::kOrigin);
  EXPECT_TRUE(head.http11);
  EXPECT_EQ(head.host->text(), "allowed.test");
  EXPECT_EQ(head.authority_text, "Allowed.Test");
  EXPECT_EQ(head.port, 80);
  EXPECT_EQ(head.framing, BodyFraming::kLength);
  EXPECT_EQ(head.content_length, 5U);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(head.size, bytes.size() - 5);
  ASSERT_EQ(head.fields.size(), 3U);
  EXPECT_EQ(head.fields[1].name, "X-One");
  EXPECT_EQ(head.fields[1].value, "two");
  EXPECT_EQ(head.fields[1].line, "X-One:  two \t\r\n");
}

TEST(Http1Request, AsksForMoreAtEveryTruncation) {
  const std::string bytes = wire("\r\nPOST /x HTTP/1.1|Host: allowed.test|Content-Length: 3|Connection: close||");
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_EQ(status_of(bytes.substr(0, size)), -1) << size;
  EXPECT_EQ(status_of(bytes), kOk);
}

TEST(Http1Request, DribbledBytesCostAParseForEveryLine) {
  std::string bytes = wire("GET /" + std::string(8000, 'x') + " HTTP/1.1|Host: allowed.test|");
  for (int i = 0; i < 100; ++i) bytes += "X: " + std::string(400, 'y') + "\r\n";
  bytes += "\r\n";
  std::size_t parsed_size = 0;
  int parses = 0;
  bool complete = false;
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    const auto received = base::as_bytes(bytes).first(size);
    if (!worth_parsing_again(received, parsed_size)) continue;
    ++parses;
    parsed_size = size;
    complete = parse_request_head(received).complete();
  }
  EXPECT_TRUE(complete);
  EXPECT_LE(parses, 105);
}

TEST(Http1Request, DribbledRefusalsDoNotWaitForALineThatNeverEnds) {
  for (const auto& [bytes, status] : {std::pair{"GET /" + std::string(70000, 'x'), 414},
                                      std::pair{wire("GET / HTTP/1.1|X: ") + std::string(70000, 'x'), 431}}) {
    std::size_t parsed_size = 0;
    int found = -1;
    for (std::size_t size = 1; size <= bytes.size() && found == -1; size += 7) {
      const auto received = base::as_bytes(bytes).first(size);
      if (!worth_parsing_again(received, parsed_size)) continue;
      parsed_size = size;
      found = status_of(bytes.substr(0, size));
    }
    EXPECT_EQ(found, status);
  }
}

// T079, T080
TEST(Http1Request, RefusesContentLengthWithTransferEncoding) {
  expect_statuses({
      {"control: length", post("Content-Length: 6|"), kOk},
      {"control: chunked", post("Transfer-Encoding: chunked|"), kOk},
      {"CL.TE", post("Content-Length: 6|Transfer-Encoding: chunked|"), 400},
      {"TE.CL", post("Transfer-Encoding: chunked|Content-Length: 4|"), 400},
      {"a length of nothing counts too", post("Transfer-Encoding: chunked|Content-Length: 0|"), 400},
  });
}

// T081
TEST(Http1Request, AcceptsTransferEncodingOnlyAsChunked) {
  expect_statuses({
      {"control", post("Transfer-Encoding: chunked|"), kOk},
      {"control: case is free", post("transfer-encoding: Chunked|"), kOk},
      {"control: TE with trailers is another field", post("TE: trailers|"), kOk},
      {"another coding", post("Transfer-Encoding: xchunked|"), 400},
      {"chunked not last", post("Transfer-Encoding: chunked, identity|"), 400},
      {"identity first", post("Transfer-Encoding: identity, chunked|"), 501},
      {"chunked twice", post("Transfer-Encoding: chunked, chunked|"), 400},
      {"not chunked at all", post("Transfer-Encoding: gzip|"), 400},
      {"a coding beneath", post("Transfer-Encoding: gzip, chunked|"), 501},
      {"quoted", post("Transfer-Encoding: \"chunked\"|"), 400},
      {"with a parameter", post("Transfer-Encoding: chunked;q=1|"), 400},
      {"a vertical tab",
       post("Transfer-Encoding: \x0b"
            "chunked|"),
       400},
      {"a tab", post("Transfer-Encoding:\tchunked|"), 400},
      {"a space before the colon", post("Transfer-Encoding : chunked|"), 400},
      {"a space before the name", post(" Transfer-Encoding: chunked|"), 400},
      {"an underscore", post("Transfer_Encoding: chunked|"), 400},
      {"in TE", post("TE: chunked|"), 400},
      {"two fields", post("Transfer-Encoding: chunked|Transfer-Encoding: chunked|"), 400},
      {"two fields, the second another", post("Transfer-Encoding: chunked|Transfer-Encoding: identity|"), 400},
      {"two fields, the first another", post("Transfer-Encoding: identity|Transfer-Encoding: chunked|"), 400},
      {"empty", post("Transfer-Encoding:|"), 400},
      {"an empty element", post("Transfer-Encoding: ,chunked|"), 501},
      {"folded", post("Transfer-Encoding:| chunked|"), 400},
      {"a full-width c", post("Transfer-Encoding: \xef\xbd\x83hunked|"), 400},
      {"on HTTP/1.0", "POST / HTTP/1.0|Host: allowed.test|Transfer-Encoding: chunked||", 400},
  });
}

// T082
TEST(Http1Request, AcceptsContentLengthOnlyAsOnePlainNumber) {
  expect_statuses({
      {"control", post("Content-Length: 5|"), kOk},
      {"control: none", post("Content-Length: 0|"), kOk},
      {"control: on GET", get("Content-Length: 5|"), kOk},
      {"control: the largest", post("Content-Length: 9223372036854775807|"), kOk},
      {"twice the same", post("Content-Length: 5|Content-Length: 5|"), 400},
      {"twice", post("Content-Length: 5|Content-Length: 6|"), 400},
      {"a list of the same", post("Content-Length: 5, 5|"), 400},
      {"a list", post("Content-Length: 5,6|"), 400},
      {"a sign", post("Content-Length: +5|"), 400},
      {"negative", post("Content-Length: -1|"), 400},
      {"hexadecimal", post("Content-Length: 0x5|"), 400},
      {"two numbers", post("Content-Length: 5 5|"), 400},
      {"a leading zero", post("Content-Length: 05|"), 400},
      {"a tab", post("Content-Length: 5\t|"), 400},
      {"empty", post("Content-Length:|"), 400},
      {"2^64 + 5", post("Content-Length: 18446744073709551621|"), 400},
      {"2^63", post("Content-Length: 9223372036854775808|"), 400},
      {"an exponent", post("Content-Length: 1e1|"), 400},
      {"an underscore", post("Content_Length: 5|"), 400},
  });
}

// T084
TEST(Http1Request, AcceptsExactlyOneHost) {
  expect_statuses({
      {"control", "GET / HTTP/1.1|Host: allowed.test||", kOk},
      {"allowed and denied", "GET / HTTP/1.1|Host: allowed.test|Host: denied.test||", 400},
      {"denied and allowed", "GET / HTTP/1.1|Host: denied.test|Host: allowed.test||", 400},
      {"twice the same", "GET / HTTP/1.1|Host: allowed.test|Host: allowed.test||", 400},
      {"in another case", "GET / HTTP/1.1|Host: allowed.test|HOST: denied.test||", 400},
      {"none", "GET / HTTP/1.1|Accept: */*||", 400},
      {"empty", "GET / HTTP/1.1|Host:||", 400},
      {"a list with nothing first", "GET / HTTP/1.1|Host: ,allowed.test||", 400},
      {"a list", "GET / HTTP/1.1|Host: allowed.test, denied.test||", 400},
      {"none on HTTP/1.0", "GET / HTTP/1.0||", 400},
      {"control: one on HTTP/1.0", "GET / HTTP/1.0|Host: allowed.test||", kOk},
      {"control: HTTP/1.0 to a proxy", "GET http://allowed.test/ HTTP/1.0||", kOk},
      {"named in Connection, for the next hop to drop", get("Connection: close, Host|"), 400},
  });
}

// T085
TEST(Http1Request, AbsoluteFormIsAnHttpUrl) {
  expect_statuses({
      {"control: equal", "GET http://allowed.test/ HTTP/1.1|Host: allowed.test||", kOk},
      {"control: case is free", "GET HTTP://ALLOWED.TEST/ HTTP/1.1|Host: allowed.test||", kOk},
      {"control: the default port", "GET http://allowed.test:80/ HTTP/1.1|Host: allowed.test||", kOk},
      {"control: a path that begins with two slashes", "GET //denied.test/x HTTP/1.1|Host: allowed.test||", kOk},
      {"another scheme", "GET ftp://allowed.test/ HTTP/1.1|Host: allowed.test||", 400},
      {"a wrong Host beside it", "GET http://allowed.test/ HTTP/1.1|Host: a/b||", 400},
      {"two of them", "GET http://allowed.test/ HTTP/1.1|Host: allowed.test|Host: allowed.test||", 400},
      {"no authority", "GET http:///x HTTP/1.1|Host: allowed.test||", 400},
      {"no slashes", "GET http:denied.test HTTP/1.1|Host: allowed.test||", 400},
      {"a bare name", "GET denied.test HTTP/1.1|Host: allowed.test||", 400},
      {"an absolute target without Host on 1.1", "GET http://allowed.test/ HTTP/1.1||", 400},
  });
}

// RFC 9112 section 3.2.2: the target decides. Who takes such a request is for the flow to say.
TEST(Http1Request, TellsWhetherHostAgreesWithTheTarget) {
  const std::vector<std::pair<std::string, bool>> cases = {
      {"GET http://allowed.test/ HTTP/1.1|Host: allowed.test||", false},
      {"GET http://allowed.test/ HTTP/1.1|Host: ALLOWED.test:80||", false},
      {"GET https://allowed.test/ HTTP/1.1|Host: allowed.test:443||", false},
      {"GET https://allowed.test/ HTTP/1.1|Host: allowed.test:80||", true},
      {"GET http://allowed.test/ HTTP/1.1|Host: denied.test||", true},
      {"GET http://allowed.test:81/ HTTP/1.1|Host: allowed.test||", true},
      {"GET http://allowed.test/ HTTP/1.1|Host: 192.0.2.1:8080||", true},
      {"CONNECT allowed.test:443 HTTP/1.1|Host: denied.test:443||", true},
      {"CONNECT allowed.test:443 HTTP/1.1|Host: allowed.test:22||", true},
      {"CONNECT allowed.test:443 HTTP/1.1|Host: allowed.test||", false},
      {"GET / HTTP/1.1|Host: allowed.test||", false},
  };
  for (const auto& [text, differs] : cases) {
    const std::string bytes = wire(text);
    const auto parsed = parse(bytes);
    ASSERT_TRUE(parsed.complete()) << text;
    EXPECT_EQ(parsed.value().host_differs, differs) << text;
    EXPECT_EQ(parsed.value().host->text(), "allowed.test") << text;
    EXPECT_EQ(parsed.value().secure, text.starts_with("GET https:")) << text;
  }
}

TEST(Http1Request, AbsoluteFormBecomesOriginForm) {
  const std::vector<std::pair<std::string, std::string>> cases = {{"/a?b", "/a?b"},
                                                                  {"http://allowed.test/a?b=c", "/a?b=c"},
                                                                  {"http://allowed.test", "/"},
                                                                  {"https://allowed.test?x", "/?x"},
                                                                  {"http://allowed.test?x=/y", "/?x=/y"},
                                                                  {"HTTP://ALLOWED.test:80//x", "//x"}};
  for (const auto& [target, expected] : cases) {
    const std::string bytes = wire("GET " + target + " HTTP/1.1|Host: allowed.test||");
    const auto parsed = parse(bytes);
    ASSERT_TRUE(parsed.complete()) << target;
    EXPECT_EQ(origin_form(parsed.value()), expected);
  }
}

// T086
TEST(Http1Request, RefusesAnAuthorityThatIsMoreThanAHost) {
  for (const std::string host :
       {"allowed.test@denied.test", "denied.test@allowed.test", "denied.test#.wild.test", "denied.test?.wild.test",
        "denied.test/.wild.test", "denied.test\\.wild.test", "denied.test;.wild.test", "denied.test%2f.wild.test",
        "denied.test%00.wild.test", "denied.test%2ewild.test", "<script>alert(1)</script>", "\"><svg onload=x>"}) {
    EXPECT_EQ(status_of(wire("GET / HTTP/1.1|Host: " + host + "||")), 400) << host;
    const std::string bytes = wire("GET http://" + host + "/ HTTP/1.1|Host: x.wild.test||");
    const auto parsed = parse(bytes);
    // A '/' or '?' ends the authority of a URL: then it is the host before it.
    const bool ends = host.starts_with("denied.test/") || host.starts_with("denied.test?");
    EXPECT_EQ(parsed.complete(), ends) << host;
    if (ends) {
      EXPECT_EQ(parsed.value().host->text(), "denied.test") << host;
    }
  }
  EXPECT_EQ(status_of(wire("GET http://x.wild.test/ HTTP/1.1|Host: x.wild.test||")), kOk) << "control";
}

// T087
TEST(Http1Request, ReadsThePortOfHostStrictly) {
  for (const std::string port : {"0", "65536", "099999", "80:80", "", "+80", " 80", "80 ", "8o", "080", "-1",
                                 "\xef\xbc\x98\xef\xbc\x90", "65537", "18446744073709551696"}) {
    const int status = status_of(wire("GET / HTTP/1.1|Host: allowed.test:" + port + "||"));
    EXPECT_EQ(status, port == "80 " ? kOk : 400) << port;  // whitespace after a value is no part of it
  }
  for (const std::uint16_t port : {80, 443, 22, 65535}) {
    const auto bytes = wire("GET / HTTP/1.1|Host: allowed.test:" + std::to_string(port) + "||");
    const auto parsed = parse(bytes);
    ASSERT_TRUE(parsed.complete());
    EXPECT_EQ(parsed.value().port, port) << "for the flow to compare with the port that was dialled";
  }
}

// T056, T059, T088
TEST(Http1Request, HostIsANameOrKnownNotToBe) {
  const auto host_of = [](const std::string& host) -> std::string {
    const std::string bytes = wire("GET / HTTP/1.1|Host: " + host + "||");
    const auto parsed = parse(bytes);
    if (!parsed.complete()) return "refused";
    if (parsed.value().host) return parsed.value().host->text();
    return parsed.value().host_address ? "address" : "number";
  };
  const std::vector<std::pair<std::string, std::string>> cases = {{"allowed.test.", "allowed.test"},
                                                                  {"denied.test.", "denied.test"},
                                                                  {" allowed.test", "allowed.test"},
                                                                  {"allowed.test\t", "allowed.test"},
                                                                  {"ALLOWED.TEST", "allowed.test"},
                                                                  {"xn--80ak6aa92e.test", "xn--80ak6aa92e.test"},
                                                                  {"45.33.32.66.wild.test", "45.33.32.66.wild.test"},
                                                                  {"[allowed.test]", "refused"},
                                                                  {"[denied.test]", "refused"},
                                                                  {"[[::1]]", "refused"},
                                                                  {"%64enied.test", "refused"},
                                                                  {"allowed.test%20", "refused"},
                                                                  {"allowed.test..", "refused"},
                                                                  {".allowed.test", "refused"},
                                                                  {"*.wild.test", "refused"},
                                                                  {"\xd0\xb0llowed.test", "refused"},
                                                                  {"allowed\xe3\x80\x82test", "refused"},
                                                                  {"-a.test", "refused"},
                                                                  {"45.33.32.10", "address"},
                                                                  {"[::1]", "address"},
                                                                  {"[2001:db8::1]:80", "address"},
                                                                  {"[1.2.3.4]", "refused"},
                                                                  {"[fe80::1%25eth0]", "refused"},
                                                                  {"::1", "refused"},
                                                                  {"0x2d.0x21.0x20.0x42", "number"},
                                                                  {"0x2d212042", "number"},
                                                                  {"757145666", "number"},
                                                                  {"127.1", "number"},
                                                                  {"1.1.1.1.", "number"},
                                                                  {"055.041.040.0102", "number"},
                                                                  {std::string(64, 'a') + ".test", "refused"}};
  for (const auto& [host, expected] : cases) EXPECT_EQ(host_of(host), expected) << host;
}

// T089
TEST(Http1Request, RefusesControlBytesAndBareLineEnds) {
  expect_statuses({
      {"control: one empty line before", "|GET / HTTP/1.1|Host: allowed.test||", kOk},
      {"control: bytes above ASCII in a value", get("X: \xc3\xa4|"), kOk},
      {"control: a tab in a value", get("X: a\tb|"), kOk},
      {"bare LF", "GET / HTTP/1.1\nHost: allowed.test\n\n", 400},
      {"bare LF after a field", "GET / HTTP/1.1|Host: allowed.test\n|", 400},
      {"bare LF as the blank line", "GET / HTTP/1.1|Host: allowed.test|\n", 400},
      {"bare CR", "GET / HTTP/1.1|Host: allowed.test\rHost: denied.test||", 400},
      {"CR CR LF", "GET / HTTP/1.1\r|Host: allowed.test||", 400},
      {"CR CR LF after a field", "GET / HTTP/1.1|Host: allowed.test\r||", 400},
      {"NUL in Host", "GET / HTTP/1.1|Host: allowed.test\0denied.test||"s, 400},
      {"NUL in a value", get("X: a\0b|"s), 400},
      {"VT in a value",
       get("X: a\x0b"
           "b|"),
       400},
      {"DEL in a value",
       get("X: a\x7f"
           "b|"),
       400},
      {"escape in a value", get("X: \x1b[2J|"), 400},
      {"NUL in a name", get("X\0Y: a|"s), 400},
      {"space in a name", get("X Y: a|"), 400},
      {"a name above ASCII", get("\xc3\xa4: a|"), 400},
      {"no name", get(": x|"), 400},
      {"no colon", get("Xa|"), 400},
      {"a folded value", get("X: a| b|"), 400},
      {"two empty lines before", "||GET / HTTP/1.1|Host: allowed.test||", 400},
      {"a fragment in the target", "GET /a#b HTTP/1.1|Host: allowed.test||", 400},
      {"a control byte in the target", "GET /a\x01 HTTP/1.1|Host: allowed.test||", 400},
      {"NUL in the target", "GET /a\0 HTTP/1.1|Host: allowed.test||"s, 400},
  });
}

// T091
TEST(Http1Request, KeepsToItsLimits) {
  const auto line_of = [](std::size_t size) { return "GET /" + std::string(size - 14, 'a') + " HTTP/1.1"; };
  ASSERT_EQ(line_of(100).size(), 100U);
  const auto head_of = [](std::size_t size) {
    const std::string start = wire("GET / HTTP/1.1|Host: allowed.test|X: ");
    return start + std::string(size - start.size() - 4, 'a') + wire("||");
  };
  ASSERT_EQ(head_of(200).size(), 200U);
  const auto fields_of = [](std::size_t count) {
    std::string out = "GET / HTTP/1.1|Host: allowed.test|";
    for (std::size_t i = 1; i < count; ++i) out += "X: y|";
    return wire(out + "|");
  };
  EXPECT_EQ(status_of(line_of(kMaxRequestLine - 1) + wire("|Host: allowed.test||")), kOk);
  EXPECT_EQ(status_of(line_of(kMaxRequestLine) + wire("|Host: allowed.test||")), kOk);
  EXPECT_EQ(status_of(line_of(kMaxRequestLine + 1) + wire("|Host: allowed.test||")), 414);
  EXPECT_EQ(status_of("GET /" + std::string(1 << 20, 'a')), 414);
  EXPECT_EQ(status_of(head_of(kMaxHeadBytes - 1)), kOk);
  EXPECT_EQ(status_of(head_of(kMaxHeadBytes)), kOk);
  EXPECT_EQ(status_of(wire("|") + head_of(kMaxHeadBytes)), kOk) << "an empty line before is not part of it";
  EXPECT_EQ(status_of(head_of(kMaxHeadBytes + 1)), 431);
  EXPECT_EQ(status_of(head_of(kMaxHeadBytes + 2)), 431);
  EXPECT_EQ(status_of(head_of(1 << 20)), 431);
  EXPECT_EQ(status_of(fields_of(kMaxHeaderFields)), kOk);
  EXPECT_EQ(status_of(fields_of(kMaxHeaderFields + 1)), 431);
  EXPECT_EQ(status_of(fields_of(100000)), 431);
  EXPECT_TRUE(parse(head_of(kMaxHeadBytes + 1)).fault().too_large);
}

// T092
TEST(Http1Request, StopsAtTheEndOfItsHead) {
  const std::string first = wire("GET /a HTTP/1.1|Host: allowed.test||");
  const std::string bytes = first + wire("GET /b HTTP/1.1|Host: denied.test||");
  const auto parsed = parse(bytes);
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().size, first.size());
  EXPECT_EQ(parsed.value().host->text(), "allowed.test");
}

// T094, C08
TEST(Http1Request, KnowsWhichUpgradeMayBeGranted) {
  const auto upgrade_of = [](const std::string& bytes) {
    const std::string raw = wire(bytes);
    return parse(raw).value().upgrade;
  };
  const std::string version = "Sec-WebSocket-Version: 13|";
  const std::string handshake = version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|";
  EXPECT_EQ(upgrade_of(get("Connection: keep-alive, Upgrade|Upgrade: WebSocket|" + handshake)), Upgrade::kWebSocket);
  EXPECT_EQ(upgrade_of(get("")), Upgrade::kNone);
  EXPECT_EQ(upgrade_of(get(handshake)), Upgrade::kNone);
  for (const std::string other :
       {"Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|HTTP2-Settings: AAM|", "Connection: Upgrade|Upgrade: H2C|",
        "Connection: Upgrade|Upgrade: h2c, websocket|", "Connection: Upgrade|Upgrade: websocket|Upgrade: h2c|",
        "Connection: Upgrade|Upgrade: h2c|Upgrade: websocket|", "Upgrade: websocket|",
        "Connection: upgrade|Upgrade: websocket|Content-Length: 5|"}) {
    EXPECT_EQ(upgrade_of(get(other + handshake)), Upgrade::kOther) << other;
  }
  const std::string asks = "Connection: upgrade|Upgrade: websocket|";
  EXPECT_EQ(upgrade_of(post(asks + handshake)), Upgrade::kOther) << "RFC 6455: GET";
  EXPECT_EQ(upgrade_of("GET / HTTP/1.0|Host: a.test|" + asks + handshake + "|"), Upgrade::kOther);
}

// T181
TEST(Http1Request, GrantsNoWebSocketWithoutItsHandshake) {
  struct Row {
    std::string why;
    std::string fields;
    Upgrade upgrade;
  };
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|";
  const std::string version = "Sec-WebSocket-Version: 13|";
  for (const auto& row : std::vector<Row>{
           {"a handshake", version + key, Upgrade::kWebSocket},
           {"in any case", "sec-websocket-version: 13|SEC-WEBSOCKET-KEY: +/AAAAAAAAAAAAAAAAAAAA==|",
            Upgrade::kWebSocket},
           {"no key", version, Upgrade::kOther},
           {"no version", key, Upgrade::kOther},
           {"two keys", version + key + key, Upgrade::kOther},
           {"two versions", version + version + key, Upgrade::kOther},
           {"an older version", "Sec-WebSocket-Version: 8|" + key, Upgrade::kOther},
           {"a list of versions", "Sec-WebSocket-Version: 13, 8|" + key, Upgrade::kOther},
           {"a short key, as examples have it", version + "Sec-WebSocket-Key: SGVsbG8sIHdvcmxkIQ==|",
            Upgrade::kWebSocket},
           {"a key of 17 bytes", version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXM=|", Upgrade::kWebSocket},
           {"two keys in one", version + "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==, dGhl|", Upgrade::kOther},
           {"a key without end", version + "Sec-WebSocket-Key: " + std::string(65, 'A') + "|", Upgrade::kOther},
           {"a key with another character", version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j_Q==|", Upgrade::kOther},
           {"an empty key", version + "Sec-WebSocket-Key: |", Upgrade::kOther},
       }) {
    const std::string raw = wire(get("Connection: Upgrade|Upgrade: websocket|" + row.fields));
    const auto parsed = parse(raw);
    EXPECT_EQ(parsed.value().upgrade, row.upgrade) << row.why;
    EXPECT_EQ(parsed.value().websocket_key.empty(), row.upgrade != Upgrade::kWebSocket) << row.why;
  }
}

// T096
TEST(Http1Request, ReadsConnect) {
  const std::string bytes = wire("CONNECT Allowed.Test:443 HTTP/1.1|Host: allowed.test:443||");
  const auto parsed = parse(bytes);
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().form, TargetForm::kAuthority);
  EXPECT_EQ(parsed.value().host->text(), "allowed.test");
  EXPECT_EQ(parsed.value().port, 443);
  expect_statuses({
      {"an address is for the flow to judge", "CONNECT 169.254.169.254:80 HTTP/1.1|Host: 169.254.169.254:80||", kOk},
      {"v6", "CONNECT [2001:db8::1]:443 HTTP/1.1|Host: [2001:db8::1]:443||", kOk},
      {"Host without the port", "CONNECT allowed.test:443 HTTP/1.1|Host: allowed.test||", kOk},
      {"1.0 without Host", "CONNECT allowed.test:443 HTTP/1.0||", kOk},
      {"lower case: the flow refuses the method", "connect allowed.test:443 HTTP/1.1|Host: allowed.test||", kOk},
      {"no port", "CONNECT allowed.test HTTP/1.1|Host: allowed.test||", 400},
      {"absolute form", "CONNECT http://allowed.test:443/ HTTP/1.1|Host: allowed.test||", 400},
      {"a path", "CONNECT allowed.test:443/ HTTP/1.1|Host: allowed.test||", 400},
      {"origin form", "CONNECT / HTTP/1.1|Host: allowed.test||", 400},
  });
}

// T097
TEST(Http1Request, ReadsVersionsAndMethodsStrictly) {
  const std::string rest = "|Host: allowed.test||";
  expect_statuses({
      {"control: a method of its own", "PROPFIND / HTTP/1.1" + rest, kOk},
      {"control: case of methods is kept", "get / HTTP/1.1" + rest, kOk},
      {"control: OPTIONS *", "OPTIONS * HTTP/1.1" + rest, kOk},
      {"control: TRACE is for the flow to refuse", "TRACE / HTTP/1.1" + rest, kOk},
      {"HTTP/0.9", "GET /CANARY|", 400},
      {"1.2", "GET / HTTP/1.2" + rest, 505},
      {"2.0", "GET / HTTP/2.0" + rest, 505},
      {"trailing letter", "GET / HTTP/1.1x" + rest, 400},
      {"lower case", "GET / http/1.1" + rest, 400},
      {"two digits", "GET / HTTP/01.1" + rest, 400},
      {"the HTTP/2 preface", "PRI * HTTP/2.0||SM||", 505},
      {"* with GET", "GET * HTTP/1.1" + rest, 400},
      {"a long method", std::string(kMaxMethodLength + 1, 'A') + " / HTTP/1.1" + rest, 501},
      {"control: the longest method", std::string(kMaxMethodLength, 'A') + " / HTTP/1.1" + rest, kOk},
      {"a very long method", std::string(5000, 'A') + " / HTTP/1.1" + rest, 501},
      {"a byte above ASCII in the method", "G\xc0T / HTTP/1.1" + rest, 400},
      {"a leading space", " GET / HTTP/1.1" + rest, 400},
      {"a tab between", "GET\t/ HTTP/1.1" + rest, 400},
      {"two spaces", "GET  / HTTP/1.1" + rest, 400},
      {"two spaces before the version", "GET /  HTTP/1.1" + rest, 400},
      {"a trailing space", "GET / HTTP/1.1 " + rest, 400},
      {"no target", "GET HTTP/1.1" + rest, 400},
  });
}

// T098
TEST(Http1Request, KnowsOneExpectation) {
  const auto expects = [](const std::string& bytes) {
    const std::string raw = wire(bytes);
    return parse(raw).value().expect_continue;
  };
  EXPECT_TRUE(expects(post("Content-Length: 5|Expect: 100-Continue|")));
  EXPECT_FALSE(expects(post("Content-Length: 5|")));
  EXPECT_FALSE(expects("POST / HTTP/1.0|Host: a.test|Content-Length: 5|Expect: 100-continue||"));
  expect_statuses({
      {"another", post("Expect: x|"), 417},
      {"twice", post("Expect: 100-continue|Expect: 100-continue|"), 417},
      {"on 1.0 it is ignored", "POST / HTTP/1.0|Host: a.test|Expect: x||", kOk},
  });
}

TEST(Http1Request, KnowsWhetherTheConnectionStays) {
  const auto stays = [](const std::string& bytes) {
    const std::string raw = wire(bytes);
    return parse(raw).value().keep_alive;
  };
  EXPECT_TRUE(stays(get("")));
  EXPECT_FALSE(stays(get("Connection: close|")));
  EXPECT_FALSE(stays(get("Connection: keep-alive|Connection: x, CLOSE|")));
  EXPECT_FALSE(stays("GET / HTTP/1.0|Host: a.test||"));
  EXPECT_TRUE(stays("GET / HTTP/1.0|Host: a.test|Connection: Keep-Alive||"));
  EXPECT_EQ(status_of(wire(get("Connection: a b|"))), 400);
}

}  // namespace
}  // namespace soleroute::sniffer
