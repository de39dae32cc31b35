// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/command_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string_view>

namespace soleroute::gateway::jail {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(CommandEnvironment, LeavesOutProxiesInAnySpelling) {
  const auto inside = command_environment({"HTTPS_PROXY=http://p.example", "all_proxy=x", "http_proxy=", "NO_PROXY=a",
                                           "HTTP_PROXY_NOTE=kept", "PATH=/bin", "YARN_HTTPS_PROXY=http://p.example"},
                                          "");
  EXPECT_THAT(inside.variables, ElementsAre("NO_PROXY=a", "HTTP_PROXY_NOTE=kept", "PATH=/bin", kPageVariable));
  EXPECT_THAT(inside.ignored_proxies, ElementsAre("HTTPS_PROXY", "all_proxy", "YARN_HTTPS_PROXY"))
      << "an empty one is no proxy";
}

TEST(CommandEnvironment, NamesTheProxyInsideWhereThereIsOne) {
  const auto inside =
      command_environment({"HTTPS_PROXY=http://me:pw@p.example:3128", "http_proxy=http://localhost:8080",
                           "ALL_PROXY=127.0.0.1:8080", "ftp_proxy=", "npm_config_proxy=localhost:9"},
                          "http://10.0.0.1:8080");
  EXPECT_THAT(inside.variables, ElementsAre("HTTPS_PROXY=http://10.0.0.1:8080", "http_proxy=http://localhost:8080",
                                            "ALL_PROXY=127.0.0.1:8080",
                                            "ftp_proxy=", "npm_config_proxy=http://10.0.0.1:8080", kPageVariable));
  EXPECT_THAT(inside.changed_proxies, ElementsAre("HTTPS_PROXY", "npm_config_proxy"));
  EXPECT_THAT(inside.ignored_proxies, IsEmpty());
}

TEST(CommandEnvironment, KeepsTheGatewaysOwnProxyFromTheCommand) {
  const auto inside =
      command_environment({"GATEWAY_UPSTREAM_PROXY=http://me:pw@p", "SOLEROUTE_UPSTREAM_PROXY=http://me:pw@p",
                           "SOLEROUTE_UPSTREAM_PROXY_PASSWORD_FILE=/x", "GATEWAY_NO_UPSTREAM_PROXY=a.test"},
                          "http://10.0.0.1:8080");
  EXPECT_THAT(inside.variables, ElementsAre("GATEWAY_NO_UPSTREAM_PROXY=a.test", kPageVariable));
}

TEST(CommandEnvironment, EmptiesGitsProxies) {
  const auto inside =
      command_environment({"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=http.proxy", "GIT_CONFIG_VALUE_0=http://p.example",
                           "GIT_CONFIG_KEY_1=user.name", "GIT_CONFIG_VALUE_1=me"},
                          "");
  EXPECT_THAT(inside.variables, ElementsAre("GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=http.proxy", "GIT_CONFIG_VALUE_0=",
                                            "GIT_CONFIG_KEY_1=user.name", "GIT_CONFIG_VALUE_1=me", kPageVariable));
  EXPECT_THAT(inside.ignored_proxies, ElementsAre("GIT_CONFIG_VALUE_0"));
}

TEST(CommandEnvironment, ClosesTheFilesThatTheCommandMustNotWriteTo) {
  constexpr std::array<std::string_view, 3> kClosed{"GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"};
  const auto inside = command_environment(
      {"GITHUB_ENV=/tmp/env", "GITHUB_ENV_NOTE=kept", "GITHUB_PATH=/dev/null", "GITHUB_STATE="}, "", kClosed);
  EXPECT_THAT(inside.variables, ElementsAre("GITHUB_ENV=/dev/null", "GITHUB_ENV_NOTE=kept", "GITHUB_PATH=/dev/null",
                                            "GITHUB_STATE=", kPageVariable));
  EXPECT_THAT(inside.closed_files, ElementsAre("GITHUB_ENV")) << "the others named no file";
}

TEST(CommandEnvironment, NamesThePageOfThisGateway) {
  EXPECT_THAT(command_environment({"SOLEROUTE=http://other.example/"}, "").variables, ElementsAre(kPageVariable));
}

}  // namespace
}  // namespace soleroute::gateway::jail
