// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/allow_layer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace soleroute::gateway::serve {
namespace {

using ::testing::HasSubstr;

TEST(AllowLayer, SaysWhatAPolicyWouldSay) {
  const struct {
    const char* item;
    const char* yaml;
  } rows[] = {
      {"github.com", "domains:\n  - github.com\n"},
      {"GitHub.com.", "domains:\n  - github.com\n"},
      {"*.a.example", "domains:\n  - \"*.a.example\"\n"},
      {"npm", "services:\n  - npm\n"},
      {"db.example:5432", "endpoints:\n  - {host: db.example, port: 5432}\n"},
      {"db:5432", "endpoints:\n  - {host: \"db\", port: 5432}\n"},
      {"a.example:443", "domains:\n  - a.example\n"},
      {"192.0.2.1:5432", "endpoints:\n  - {cidr: 192.0.2.1/32, port: 5432}\n"},
      {"[2001:db8::1]:22", "endpoints:\n  - {cidr: \"2001:db8::1/128\", port: 22}\n"},
      {"https://a.example", "domains:\n  - a.example\n"},
      {"HTTPS://a.example/", "domains:\n  - a.example\n"},
      {"https://a.example:8443/", "endpoints:\n  - {host: a.example, port: 8443}\n"},
      {"https://a.example/v1/",
       "domains:\n  - host: a.example\n    rules:\n      - schemes: [https]\n        path: {prefix: \"/v1/\"}\n"},
      {"http://a.example:80/v1",
       "domains:\n  - host: a.example\n    rules:\n      - schemes: [http]\n        path: {exact: \"/v1\"}\n"},
  };
  for (const auto& row : rows) {
    const auto layer = allow_layer(std::array{std::string(row.item)});
    ASSERT_TRUE(layer.has_value()) << row.item << ": " << layer.error().message;
    EXPECT_EQ(*layer, row.yaml) << row.item;
  }
}

TEST(AllowLayer, NamesTheItemThatIsWrongAndSaysWhatToWrite) {
  const struct {
    const char* item;
    const char* message;
  } rows[] = {
      {"", "is empty"},
      {"npn", "did you mean 'npm'"},
      {"10.0.0.1", "ADDR:PORT"},
      {"10.0.0.0/8", "expected a host"},
      {"a.example/x", "http(s)://"},
      {"a.example:0", "1 to 65535"},
      {"a.example:99999", "1 to 65535"},
      {"*.a.example:5432", "not a wildcard"},
      {"*.com", "*.com"},
      {"ftp://a.example/", "only http:// and https://"},
      {"https://u@a.example/", "user name"},
      {"https://a.example/x?y", "query"},
      {"https://a.example/x\"y", "quotes"},
      {"https://a.example:8443/x", "80 and 443 only"},
      {"https://a.example/../x", "--allow https://a.example/../x"},
      {"bad_\x1b[31m.example\n", "\\u{001b}"},
  };
  for (const auto& row : rows) {
    const auto layer = allow_layer(std::array{std::string(row.item)});
    ASSERT_FALSE(layer.has_value()) << row.item << ": " << *layer;
    EXPECT_EQ(layer.error().kind, base::ErrorKind::kUsage) << row.item;
    EXPECT_THAT(layer.error().message, HasSubstr(row.message)) << row.item;
    EXPECT_THAT(layer.error().message, HasSubstr("--allow")) << row.item;
  }
}

TEST(AllowLayer, OfSeveralItemsIsOnePolicy) {
  const std::vector<std::string> items{
      "a.example", "npm", "b.example", "db.example:1", "a.example", "https://c.example/x/", "https://c.example/y/"};
  const auto layer = allow_layer(items);
  ASSERT_TRUE(layer.has_value());
  EXPECT_THAT(*layer, HasSubstr("domains:\n  - a.example\n  - b.example\n"));
  const std::array<policy::PolicySource, 1> alone{{{"--allow", *layer}}};
  EXPECT_TRUE(policy::Policy::compile(alone).has_value());
}

TEST(AllowLayer, MergesWithWhatWasLearned) {
  EXPECT_EQ(
      merged_lines("domains:\n  - a.example\n", "domains:\n  - b.example  # 2x\nendpoints:\n  - {host: c.example}\n"),
      "domains:\n  - a.example\n  - b.example  # 2x\nendpoints:\n  - {host: c.example}\n");
  EXPECT_EQ(merged_lines("", ""), "");
}

}  // namespace
}  // namespace soleroute::gateway::serve
