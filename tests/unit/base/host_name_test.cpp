// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/host_name.h"

#include <gtest/gtest.h>

#include <string>

namespace soleroute::base {
namespace {

struct Accepted {
  const char* written;
  const char* canonical;
  const char* why;
};

TEST(HostName, IsCanonicalForEverySpellingOfTheSameName) {
  const Accepted cases[] = {
      {"example.com", "example.com", "as it is"},
      {"EXAMPLE.Com", "example.com", "case does not matter in DNS, RFC 4343"},
      {"example.com.", "example.com", "the root's dot, RFC 1034 section 3.1"},
      {"localhost", "localhost", "a single label is a name; the policy decides"},
      {"a_b.wild.test", "a_b.wild.test", "buckets and service labels have underscores"},
      {"_dmarc.allowed.test", "_dmarc.allowed.test", "service labels"},
      {"my_db", "my_db", "Compose names services so"},
      {"Project_db_1", "project_db_1", "and their containers"},
      {"foo_bar.example", "foo_bar.example", "where a registrable name stands"},
      {"a.t_est", "a.t_est", "in the last label"},
      {"x.1_000", "x.1_000", "no number to inet_aton() and URL parsers"},
      {"xn--bcher-kva.example", "xn--bcher-kva.example", "A-labels are LDH"},
      {"45.33.32.66.wild.test", "45.33.32.66.wild.test", "numbers in front of a name"},
      {"1password.com", "1password.com", "a label may begin with a digit, RFC 1123 section 2.1"},
      {"0xg.test", "0xg.test", "not a hexadecimal number"},
  };
  for (const auto& c : cases) {
    const auto name = HostName::parse(c.written);
    ASSERT_TRUE(name) << c.written << ": " << c.why;
    EXPECT_EQ(name->text(), c.canonical) << c.why;
  }
}

TEST(HostName, RefusesWhatIsNoHostName) {
  const std::string label64(64, 'a');
  std::string long_name;
  for (int i = 0; i < 64; ++i) long_name += "abc.";
  const std::pair<std::string, const char*> cases[] = {
      {"", "empty"},
      {".", "the root alone"},
      {"a..b", "an empty label"},
      {".allowed.test", "a leading dot"},
      {"allowed.test..", "two trailing dots"},
      {"-a.test", "begins with a hyphen"},
      {"a-.test", "ends with a hyphen"},
      {label64 + ".test", "a label of 64"},
      {long_name + "ab", "254 characters"},
      {std::string("evil.test\0.allowed.test", 23), "NUL"},
      {"allowed.test\r\nX", "line end"},
      {"allowed.test ", "space"},
      {"\tallowed.test", "tab"},
      {"allowed.test/", "slash"},
      {"evil.test#.wild.test", "fragment"},
      {"allowed.test:80", "port"},
      {"a@b.test", "userinfo"},
      {"%61llowed.test", "percent-encoding"},
      {"*.wild.test", "a wildcard is not a name"},
      {"\xd0\xb0llowed.test", "Cyrillic a"},
      {"allowed\xe3\x80\x82test", "ideographic full stop"},
      {"allow\xc2\xad"
       "ed.test",
       "soft hyphen"},
      {"45.33.32.66", "IPv4"},
      {"1.1.1.1.", "IPv4 with a dot"},
      {"0x2d212042", "hexadecimal IPv4"},
      {"757145666", "decimal IPv4"},
      {"055.041.040.0102", "octal IPv4"},
      {"45.33.8258", "short IPv4"},
      {"127.1", "shorter IPv4"},
      {"a.0x7f", "WHATWG: ends in a number"},
      {"a.0x", "inet_aton reads 0x as zero"},
      {"::1", "IPv6"},
      {"[::1]", "IPv6 in brackets"},
  };
  for (const auto& [text, why] : cases) EXPECT_FALSE(HostName::parse(text)) << text << ": " << why;
}

TEST(HostName, TakesTheLongestNameThereIs) {
  std::string name = "ab";
  for (int i = 0; i < 62; ++i) name += ".abc";
  name += ".ab";
  ASSERT_EQ(name.size(), HostName::kMaxLength);
  EXPECT_TRUE(HostName::parse(name));
  EXPECT_FALSE(HostName::parse("a" + name));
}

TEST(HostName, KnowsWhatIsBelowWhat) {
  const auto name = HostName::parse("a.b.example.com");
  ASSERT_TRUE(name);
  EXPECT_TRUE(name->is_below("example.com"));
  EXPECT_TRUE(name->is_below("b.example.com"));
  EXPECT_FALSE(name->is_below("a.b.example.com"));
  EXPECT_FALSE(name->is_below("ample.com"));
  EXPECT_EQ(name->parent(), "b.example.com");
  EXPECT_EQ(HostName::parse("localhost")->parent(), "");
}

TEST(HostName, ShowsNoControlCharacterInItsError) {
  const auto name = HostName::parse("evil\x1b[2J\r\n.test");
  ASSERT_FALSE(name);
  for (const char c : name.error().message) EXPECT_TRUE(c >= ' ' || static_cast<unsigned char>(c) >= 0x80);
}

}  // namespace
}  // namespace soleroute::base
