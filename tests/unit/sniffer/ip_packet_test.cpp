// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/ip_packet.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace soleroute::sniffer {
namespace {

using namespace std::string_literals;

std::string u16(std::size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string v4(std::uint8_t protocol, const std::string& payload, std::uint16_t fragment = 0,
               const std::string& options = "") {
  const auto header = static_cast<char>(0x40 | (20 + options.size()) / 4);
  return header + "\0"s + u16(20 + options.size() + payload.size()) + "\0\1"s + u16(fragment) + "\x40" +
         static_cast<char>(protocol) + "\0\0"s + "\x0a\0\0\1"s + "\xc0\0\2\x07"s + options + payload;
}

std::string v6(std::uint8_t next, const std::string& payload) {
  const std::string source = "\xfe\x80"s + std::string(13, '\0') + "\1";
  const std::string destination = "\x20\1\x0d\xb8"s + std::string(11, '\0') + "\2";
  return "\x60\0\0\0"s + u16(payload.size()) + static_cast<char>(next) + "\x40" + source + destination + payload;
}

std::string udp(const std::string& payload) {
  return u16(5353) + u16(443) + u16(8 + payload.size()) + "\0\0"s + payload;
}
std::string tcp(const std::string& payload, char offset = '\x50') {
  return u16(40000) + u16(9999) + std::string(8, '\0') + offset + std::string(7, '\0') + payload;
}

Parsed<IpPacket> parse(const std::string& bytes) {
  return parse_ip_packet(base::as_bytes(bytes));
}

TEST(IpPacket, ReadsUdpOverBothFamilies) {
  const std::string four = v4(17, udp("hello"));
  const auto parsed = parse(four);
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().source.to_string(), "10.0.0.1");
  EXPECT_EQ(parsed.value().destination.to_string(), "192.0.2.7");
  EXPECT_EQ(parsed.value().protocol, 17);
  EXPECT_EQ(parsed.value().source_port, 5353);
  EXPECT_EQ(parsed.value().destination_port, 443);
  EXPECT_EQ(base::as_text(parsed.value().payload), "hello");

  const std::string six = v6(17, udp("hello"));
  const auto other = parse(six);
  ASSERT_TRUE(other.complete());
  EXPECT_EQ(other.value().source.to_string(), "fe80::1");
  EXPECT_EQ(other.value().destination.to_string(), "2001:db8::2");
  EXPECT_EQ(other.value().destination_port, 443);
  EXPECT_EQ(base::as_text(other.value().payload), "hello");
}

TEST(IpPacket, ReadsTcpPastItsOptions) {
  const std::string bytes = v4(6, tcp("\1\1\1\1data", '\x60'), 0, "\1\1\1\1");
  const auto parsed = parse(bytes);
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().destination_port, 9999);
  EXPECT_EQ(base::as_text(parsed.value().payload), "data");
}

TEST(IpPacket, ReadsIcmpAndOthersWithoutPorts) {
  const std::string echo = v4(1, "\x08\0\0\0\0\1\0\1ping"s);
  const auto parsed = parse(echo);
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().icmp_type, 8);
  EXPECT_FALSE(parsed.value().destination_port);
  const std::string gre = v4(47, "abc");
  ASSERT_TRUE(parse(gre).complete());
  EXPECT_EQ(parse(gre).value().protocol, 47);
  const std::string sctp = v6(132, u16(1) + u16(2) + std::string(8, '\0'));
  EXPECT_EQ(parse(sctp).value().destination_port, 2);
}

TEST(IpPacket, StepsOverExtensionHeaders) {
  const std::string hop_by_hop = "\x3c\0"s + std::string(6, '\0');       // then destination options
  const std::string destination = "\x33\1"s + std::string(14, '\0');     // then authentication
  const std::string authentication = "\x2c\1"s + std::string(10, '\0');  // then fragment
  const std::string fragment = "\x11\0\0\0\0\0\0\1"s;                    // then UDP
  const std::string bytes = v6(0, hop_by_hop + destination + authentication + fragment + udp("x"));
  const auto parsed = parse(bytes);
  ASSERT_TRUE(parsed.complete());
  EXPECT_EQ(parsed.value().protocol, 17);
  EXPECT_EQ(parsed.value().destination_port, 443);
  EXPECT_FALSE(parsed.value().fragment) << "the first fragment";
}

TEST(IpPacket, LaterFragmentsHaveNoPorts) {
  const std::string four = v4(17, udp("hello"), 185);
  ASSERT_TRUE(parse(four).complete());
  EXPECT_TRUE(parse(four).value().fragment);
  EXPECT_FALSE(parse(four).value().destination_port);
  const std::string six = v6(44, "\x11\0\5\xc8\0\0\0\1"s + udp("hello"));
  ASSERT_TRUE(parse(six).complete());
  EXPECT_TRUE(parse(six).value().fragment);
  EXPECT_FALSE(parse(six).value().destination_port);
  const std::string more_follow = v4(17, udp("hello"), 0x2000);
  EXPECT_EQ(parse(more_follow).value().destination_port, 443) << "the first fragment has them";
}

TEST(IpPacket, RefusesLengthsThatLie) {
  std::string short_total = v4(17, udp(""));
  short_total[3] = 19;
  std::string short_header = v4(17, udp(""));
  short_header[0] = 0x44;
  std::string udp_length = v4(17, udp(""));
  udp_length[25] = 7;
  std::string six_short = v6(17, udp(""));
  six_short[5] = 4;
  std::string chain;
  for (int i = 0; i < 9; ++i) chain += "\x3c\0"s + std::string(6, '\0');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"version 5", "\x55"s + v4(17, udp("")).substr(1)},
      {"total below the header", short_total},
      {"header of four words", short_header},
      {"UDP shorter than its header", udp_length},
      {"payload shorter than UDP", six_short},
      {"TCP offset below five", v4(6, tcp("", '\x40'))},
      {"TCP offset past the end", v4(6, tcp("", '\xf0'))},
      {"half a UDP header", v4(17, "\1\2\3\4")},
      {"an extension past the end", v6(0, "\x11\x05"s + std::string(6, '\0'))},
      {"endless extensions", v6(60, chain)}};
  for (const auto& [why, bytes] : cases) EXPECT_TRUE(parse(bytes).malformed()) << why;
}

TEST(IpPacket, ACopyCutShortIsNotALie) {
  const std::string bytes = v4(6, tcp(std::string(1000, 'x')));
  ASSERT_TRUE(parse(bytes.substr(0, 128)).complete()) << "as NFQUEUE hands it over";
  EXPECT_EQ(parse(bytes.substr(0, 128)).value().destination_port, 9999);
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string copy = bytes.substr(0, size);
    ASSERT_TRUE(parse(copy).need_more()) << size;
    EXPECT_GT(parse(copy).missing().at_least, size);
  }
  const std::string padded = v4(17, udp("hi")) + std::string(10, 'p');
  EXPECT_EQ(base::as_text(parse(padded).value().payload), "hi") << "Ethernet padding is not payload";
}

}  // namespace
}  // namespace soleroute::sniffer
