// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/protocol_guess.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sniffer/quic_initial.h"
#include "tests/support/client_hello.h"

namespace soleroute::sniffer {
namespace {

using namespace std::string_literals;

// T074, T075, T097
TEST(ProtocolGuess, TellsFromTheFirstBytes) {
  struct Case {
    std::string why;
    std::string bytes;
    Protocol expected;
  };
  const std::vector<Case> cases = {
      {"nothing yet", "", Protocol::kNeedMore},
      {"a request", "GET / HTTP/1.1\r\n", Protocol::kHttp1},
      {"a request as far as its method", "OPTIONS", Protocol::kNeedMore},
      {"the method and a space", "GET ", Protocol::kHttp1},
      {"a method of its own", "M-SEARCH * HTTP/1.1\r\n", Protocol::kHttp1},
      {"lower case", "get / HTTP/1.1\r\n", Protocol::kHttp1},
      {"a method that begins with a digit", "0 / HTTP/1.1\r\n", Protocol::kHttp1},
      {"a method of a mark", "*GET / HTTP/1.1\r\n", Protocol::kHttp1},
      {"a digit, not yet certain", "0", Protocol::kNeedMore},
      {"a separator is in no method", "(GET) / HTTP/1.1\r\n", Protocol::kOther},
      {"Redis", "*1\r\n$4\r\nPING\r\n", Protocol::kOther},
      {"a banner of a number", "220\r\n", Protocol::kOther},
      {"an empty line first", "\r\nGET /", Protocol::kHttp1},
      {"wrong but meant as HTTP, to be answered so", "G\xc0T / HTTP/1.1\r\n", Protocol::kHttp1},
      {"a tab after the method", "GET\t/ HTTP/1.1\r\n", Protocol::kHttp1},
      {"leading spaces", "  GET / HTTP/1.1\r\n", Protocol::kHttp1},
      {"a method without end", std::string(5000, 'A'), Protocol::kHttp1},
      {"TLS", testing::tls::ordinary("allowed.test"), Protocol::kTls},
      {"TLS, one byte", "\x16", Protocol::kNeedMore},
      {"TLS, two bytes", "\x16\x03", Protocol::kTls},
      {"TLS of another major version", "\x16\x7f\0"s, Protocol::kOther},
      {"SSLv2", "\x80\x2e\x01\x00\x02"s, Protocol::kOther},
      {"a TLS alert", "\x15\x03\x01\0\2"s, Protocol::kOther},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::kHttp2Preface},
      {"HTTP/2, not yet certain", "PRI * HTTP/", Protocol::kNeedMore},
      {"a method that begins like it", "PRINT / HTTP/1.1", Protocol::kHttp1},
      {"SSH", "SSH-2.0-OpenSSH_9\r\n", Protocol::kOther},
      {"SMTP talks like HTTP until the parser looks", "EHLO x\r\n", Protocol::kHttp1},
      {"SOCKS4", "\x04\x01\0\x50"s, Protocol::kOther},
      {"SOCKS5", "\x05\x01\0"s, Protocol::kOther},
      {"OpenVPN", "\0\x0e\x38"s, Protocol::kOther},
      {"RDP", "\x03\0\0\x13"s, Protocol::kOther},
      {"MQTT", "\x10\x10\0\4MQTT"s, Protocol::kOther},
      {"DNS over TCP", "\0\x1d\xab\xcd\1\0"s, Protocol::kOther},
  };
  for (const auto& c : cases) EXPECT_EQ(guess_protocol(base::as_bytes(c.bytes)), c.expected) << c.why;
}

TEST(ProtocolGuess, MoreBytesNeverChangeAnAnswer) {
  for (const std::string& bytes :
       {"GET / HTTP/1.1\r\n"s, "PRI * HTTP/2.0\r\n\r\n"s, "SSH-2.0-x\r\n"s, testing::tls::ordinary("a.test")}) {
    Protocol last = Protocol::kNeedMore;
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
      const Protocol guess = guess_protocol(base::as_bytes(bytes).first(size));
      if (last != Protocol::kNeedMore) {
        EXPECT_EQ(guess, last) << bytes.substr(0, size);
      }
      last = guess;
    }
  }
}

// T001
TEST(QuicInitial, RecognisesTheFirstDatagram) {
  const auto parse = [](const std::string& bytes) { return parse_quic_initial(base::as_bytes(bytes)); };
  const std::string ids =
      "\x08"
      "destinat"
      "\x05"
      "sourc";
  const auto first = parse("\xc3\0\0\0\1"s + ids + std::string(1200, 'x'));
  ASSERT_TRUE(first.complete());
  EXPECT_EQ(first.value(), (QuicInitial{1, 8, 5}));
  const auto second = parse("\xd3\x6b\x33\x43\xcf"s + ids);
  ASSERT_TRUE(second.complete());
  EXPECT_EQ(quic_version_text(second.value().version), "2");
  EXPECT_EQ(quic_version_text(parse("\xc3\xff\0\0\x1d"s + ids).value().version), "draft-29");
  EXPECT_EQ(quic_version_text(parse("\xc3\x1a\x2a\x3a\x4a"s + ids).value().version), "0x1a2a3a4a") << "GREASE";

  EXPECT_TRUE(parse("\x43\0\0\0\1"s + ids).malformed()) << "a short header";
  EXPECT_TRUE(parse("\xe3\0\0\0\1"s + ids).malformed()) << "a Handshake packet";
  EXPECT_TRUE(parse("\xc3\0\0\0\0"s + ids).malformed()) << "version negotiation";
  EXPECT_TRUE(parse("\xc3\x12\x34\x56\x78"s + ids).malformed()) << "an unknown version";
  EXPECT_TRUE(parse("\xc3\0\0\0\1\x15"s + std::string(30, 'x')).malformed()) << "an id of 21 bytes";
  for (std::size_t size = 0; size < 20; ++size)
    EXPECT_TRUE(parse(("\xc3\0\0\0\1"s + ids).substr(0, size)).need_more()) << size;
}

}  // namespace
}  // namespace soleroute::sniffer
