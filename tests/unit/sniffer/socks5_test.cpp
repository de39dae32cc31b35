// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/socks5.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace soleroute::sniffer {
namespace {

using namespace std::string_literals;
using Command = Socks5Request::Command;

TEST(Socks5, ReadsWhatAClientOffers) {
  const std::string offers = "\5\2\2\0rest"s;
  const auto parsed = parse_socks5_greeting(base::as_bytes(offers));
  ASSERT_TRUE(parsed.complete());
  EXPECT_TRUE(parsed.value().without_authentication);
  EXPECT_EQ(parsed.value().size, 4U);
  EXPECT_FALSE(parse_socks5_greeting(base::as_bytes("\5\1\2"s)).value().without_authentication);
  EXPECT_FALSE(parse_socks5_greeting(base::as_bytes("\5\0"s)).value().without_authentication);
}

TEST(Socks5, ReadsEachTypeOfAddress) {
  const std::string named =
      "\5\1\0\3\x0c"
      "allowed.test\1\xbbrest"s;
  const auto by_name = parse_socks5_request(base::as_bytes(named));
  ASSERT_TRUE(by_name.complete());
  EXPECT_EQ(by_name.value().command, Command::kConnect);
  EXPECT_EQ(by_name.value().domain, "allowed.test");
  EXPECT_EQ(by_name.value().port, 443);
  EXPECT_EQ(by_name.value().size, named.size() - 4);
  const std::string v4 = "\5\1\0\1\x0a\x14\0\5\4\xd2"s;
  EXPECT_EQ(parse_socks5_request(base::as_bytes(v4)).value().address, base::IpAddress::parse("10.20.0.5").value());
  const std::string v6 = "\5\1\0\4"s + std::string(15, '\0') + "\1\0\x50"s;
  EXPECT_EQ(parse_socks5_request(base::as_bytes(v6)).value().address, base::IpAddress::parse("::1").value());
  EXPECT_EQ(parse_socks5_request(base::as_bytes(v6)).value().port, 80);
}

TEST(Socks5, NamesWhatItDoesNotKnow) {
  EXPECT_EQ(parse_socks5_request(base::as_bytes("\5\3\0\1\1\2\3\4\0\x50"s)).value().command, Command::kUdpAssociate);
  EXPECT_EQ(parse_socks5_request(base::as_bytes("\5\x09\0\1\1\2\3\4\0\x50"s)).value().command, Command::kUnknown);
  EXPECT_FALSE(parse_socks5_request(base::as_bytes("\5\1\0\2what"s)).value().address_type_known());
}

TEST(Socks5, RefusesOtherVersionsAndEmptyNames) {
  for (const std::string& bytes : {"\4\1\0\x50\1\2\3\4\0"s, "GET / HTTP/1.1\r\n"s}) {
    EXPECT_TRUE(parse_socks5_greeting(base::as_bytes(bytes)).malformed());
    EXPECT_TRUE(parse_socks5_request(base::as_bytes(bytes)).malformed());
  }
  EXPECT_TRUE(parse_socks5_request(base::as_bytes("\5\1\0\3\0\0\x50"s)).malformed());
}

TEST(Socks5, AsksForMoreAtEveryTruncation) {
  const std::string request =
      "\5\1\0\3\6"
      "a.test\0\x50"s;
  for (std::size_t size = 0; size < request.size(); ++size) {
    EXPECT_TRUE(parse_socks5_request(base::as_bytes(request).first(size)).need_more()) << size;
  }
  const std::string greeting = "\5\3\0\1\2"s;
  for (std::size_t size = 0; size < greeting.size(); ++size) {
    EXPECT_TRUE(parse_socks5_greeting(base::as_bytes(greeting).first(size)).need_more()) << size;
  }
}

}  // namespace
}  // namespace soleroute::sniffer
