// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/upstream_proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "gateway/flow/proxy_tunnel.h"

namespace soleroute::gateway::flow {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

base::HostName name(std::string_view text) {
  return *base::HostName::parse(text);
}
base::IpAddress address(std::string_view text) {
  return *base::IpAddress::parse(text);
}

TEST(UpstreamProxy, IsReadFromAUrl) {
  struct Row {
    const char* text;
    const char* url;
    const char* user;
    const char* password;
  };
  const Row rows[] = {
      {"http://proxy.corp.test:3128", "http://proxy.corp.test:3128", "", ""},
      {"http://proxy.corp.test:3128/", "http://proxy.corp.test:3128", "", ""},
      {"HTTP://Proxy.Corp.Test", "http://proxy.corp.test:80", "", ""},
      {"proxy:3128", "http://proxy:3128", "", ""},
      {"https://proxy.corp.test", "https://proxy.corp.test:443", "", ""},
      {"socks5h://10.0.0.1", "socks5h://10.0.0.1:1080", "", ""},
      {"socks5://10.0.0.1:9", "socks5h://10.0.0.1:9", "", ""},
      {"http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128", "", ""},
      {"http://me:p%40s%3As@proxy.test:1", "http://proxy.test:1", "me", "p@s:s"},
      {"http://me:a@b:c@proxy.test:1", "http://proxy.test:1", "me", "a@b:c"},
      {"http://me@proxy.test:1", "http://proxy.test:1", "me", ""},
      {"http://corp%5Cme:x@proxy.test:1", "http://proxy.test:1", "corp\\me", "x"},
  };
  for (const Row& row : rows) {
    const auto proxy = parse_upstream_proxy(row.text);
    ASSERT_TRUE(proxy.has_value()) << row.text << ": " << proxy.error().message;
    EXPECT_EQ(proxy->url(), row.url);
    EXPECT_EQ(proxy->user, row.user) << row.text;
    EXPECT_EQ(proxy->password, row.password) << row.text;
  }
}

TEST(UpstreamProxy, IsRefusedWithoutShowingThePassword) {
  for (const char* text :
       {"", "ftp://me:hidden@proxy.test", "http://me:hidden@proxy.test:0", "http://me:hidden@proxy.test:99999",
        "http://me:hidden@proxy.test:3128/path", "http://me:hidden@", "http://me:hid%0d%0aden@proxy.test",
        "http://me:hid%00den@proxy.test", "http://m%3ae:hidden@proxy.test", "http://me:hidden%@proxy.test",
        "http://me:hidden@pro xy.test", "http://me:hidden@proxy.test\r\nX: y", "https://me:hidden@10.0.0.1",
        "http://me:hidden@2001:db8::1:3128", "socks4://me:hidden@proxy.test"}) {
    const auto proxy = parse_upstream_proxy(text);
    ASSERT_FALSE(proxy.has_value()) << text;
    EXPECT_THAT(proxy.error().message, Not(HasSubstr("hid"))) << text;
  }
}

TEST(UpstreamProxy, IsNotAskedForItsExceptions) {
  UpstreamProxy proxy = *parse_upstream_proxy("http://proxy.test:1");
  for (const char* text : {"corp.test", ".below.test", "*.star.test", "10.0.0.0/8", "192.0.2.1", "2001:db8::/32"}) {
    ASSERT_TRUE(add_direct(proxy, text).has_value()) << text;
  }
  for (const char* text : {"corp.test", "a.b.corp.test", "below.test", "x.star.test", "localhost", "x.localhost",
                           "host.gateway.internal"}) {
    EXPECT_TRUE(proxy.is_direct(name(text))) << text;
  }
  for (const char* text : {"xcorp.test", "corp.test.evil.test", "test", "localhost.evil.test"}) {
    EXPECT_FALSE(proxy.is_direct(name(text))) << text;
  }
  for (const char* text : {"10.1.2.3", "192.0.2.1", "2001:db8::9", "127.0.0.1", "::1", "169.254.169.254", "fe80::1"}) {
    EXPECT_TRUE(proxy.is_direct(address(text))) << text;
  }
  for (const char* text : {"11.0.0.1", "192.0.2.2", "192.168.0.1", "2001:db9::"}) {
    EXPECT_FALSE(proxy.is_direct(address(text))) << text;
  }
  for (const char* text : {"", "10.0.0.1/8", "a b", "a\r\nb", "http://x"}) {
    EXPECT_FALSE(add_direct(proxy, text).has_value()) << text;
  }
  EXPECT_EQ(proxy.exceptions(),
            ", directly: corp.test, below.test, star.test, 10.0.0.0/8, 192.0.2.1/32, 2001:db8::/32");
}

TEST(UpstreamProxy, HasABoundedNumberOfExceptions) {
  UpstreamProxy proxy = *parse_upstream_proxy("http://proxy.test:1");
  for (int i = 0; i < 1024; ++i) ASSERT_TRUE(add_direct(proxy, "a.test").has_value());
  EXPECT_FALSE(add_direct(proxy, "a.test").has_value());
}

TEST(UpstreamProxy, ReadsTheFormsOfNoProxy) {
  UpstreamProxy proxy = *parse_upstream_proxy("http://proxy.test:1");
  const auto told = add_no_proxy(proxy, "localhost, 127.0.0.1,.corp.test  db:5432,,fd00::/8,b@d");
  EXPECT_FALSE(told.everything);
  EXPECT_THAT(told.skipped, ElementsAre("b@d"));
  EXPECT_TRUE(proxy.is_direct(name("db")));
  EXPECT_TRUE(proxy.is_direct(name("x.corp.test")));
  EXPECT_TRUE(proxy.is_direct(address("fd00::1")));
  EXPECT_TRUE(add_no_proxy(proxy, "a.test,*").everything);
}

TEST(UpstreamProxy, TakesAPasswordOfOneLine) {
  UpstreamProxy proxy = *parse_upstream_proxy("http://me@proxy.test:1");
  ASSERT_TRUE(set_password(proxy, "p:@ss word\r\n").has_value());
  EXPECT_EQ(proxy.password, "p:@ss word");
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("a\nb"), std::string("a\0b", 3), std::string(256, 'a')}) {
    EXPECT_FALSE(set_password(proxy, text).has_value());
  }
}

TEST(ProxyTunnel, AsksForAValueThatEndsNoLine) {
  const UpstreamProxy proxy = *parse_upstream_proxy("http://me:pw@proxy.test:1");
  const ProxyTarget target{name("a.test"), {}, 443};
  EXPECT_EQ(connect_request(proxy, target.authority()),
            "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n");
  const ProxyTarget v6{std::nullopt, address("2001:db8::1"), 22};
  EXPECT_EQ(v6.authority(), "[2001:db8::1]:22");
  const ProxyTarget mapped{std::nullopt, address("::ffff:192.0.2.1"), 22};
  EXPECT_EQ(mapped.authority(), "192.0.2.1:22");
}

TEST(ProxyTunnel, WritesRequestsInClearInAbsoluteForm) {
  const UpstreamProxy plain = *parse_upstream_proxy("http://proxy.test:1");
  const UpstreamProxy proxy = *parse_upstream_proxy("http://me:pw@proxy.test:1");
  EXPECT_EQ(forwarded_by_proxy("GET /a?b HTTP/1.1\r\nHost: a.test\r\n\r\n", plain, {name("a.test"), {}, 80}),
            "GET http://a.test/a?b HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_EQ(forwarded_by_proxy("POST / HTTP/1.1\r\nHost: a.test:81\r\n\r\n", proxy, {name("a.test"), {}, 81}),
            "POST http://a.test:81/ HTTP/1.1\r\nProxy-Authorization: Basic bWU6cHc=\r\nHost: a.test:81\r\n\r\n");
  EXPECT_EQ(forwarded_by_proxy("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", plain, {name("a.test"), {}, 80}),
            "OPTIONS http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n");
}

TEST(ProxyTunnel, WritesAnAddressInAbsoluteForm) {
  const UpstreamProxy plain = *parse_upstream_proxy("http://proxy.test:1");
  EXPECT_EQ(forwarded_by_proxy("GET / HTTP/1.1\r\nHost: [2001:db8::1]:81\r\n\r\n", plain,
                               {std::nullopt, address("2001:db8::1"), 81}),
            "GET http://[2001:db8::1]:81/ HTTP/1.1\r\nHost: [2001:db8::1]:81\r\n\r\n");
}

TEST(ProxyTunnel, SaysWhatAnAnswer407Wants) {
  const UpstreamProxy plain = *parse_upstream_proxy("http://proxy.test:1");
  const UpstreamProxy known = *parse_upstream_proxy("http://me:pw@proxy.test:1");
  EXPECT_THAT(login_fault(plain, "Basic realm=\"x\""), HasSubstr("answered 407: give a user and a password"));
  EXPECT_THAT(login_fault(known, " Negotiate, Basic realm=\"x\""), HasSubstr("the user name or password is wrong"));
  EXPECT_THAT(login_fault(plain, " Negotiate,NTLM"),
              HasSubstr("asks for Negotiate, and the gateway can send Basic only"));
  EXPECT_THAT(login_fault(plain, "\x1b[31m"), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace soleroute::gateway::flow
