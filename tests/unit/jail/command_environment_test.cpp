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
  const auto inside = command_environment(
      {"HTTPS_PROXY=http://p.example", "all_proxy=x", "http_proxy=", "NO_PROXY=a", "HTTP_PROXY_NOTE=kept", "PATH=/bin"},
      false);
  EXPECT_THAT(inside.variables, ElementsAre("NO_PROXY=a", "HTTP_PROXY_NOTE=kept", "PATH=/bin", kPageVariable));
  EXPECT_THAT(inside.ignored_proxies, ElementsAre("HTTPS_PROXY", "all_proxy")) << "an empty one is no proxy";
}

TEST(CommandEnvironment, KeepsThemWhereThereIsAProxyInside) {
  const auto inside = command_environment({"HTTPS_PROXY=http://p.example"}, true);
  EXPECT_THAT(inside.variables, ElementsAre("HTTPS_PROXY=http://p.example", kPageVariable));
  EXPECT_THAT(inside.ignored_proxies, IsEmpty());
}

TEST(CommandEnvironment, ClosesTheFilesThatTheCommandMustNotWriteTo) {
  constexpr std::array<std::string_view, 3> kClosed{"GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"};
  const auto inside = command_environment(
      {"GITHUB_ENV=/tmp/env", "GITHUB_ENV_NOTE=kept", "GITHUB_PATH=/dev/null", "GITHUB_STATE="}, false, kClosed);
  EXPECT_THAT(inside.variables, ElementsAre("GITHUB_ENV=/dev/null", "GITHUB_ENV_NOTE=kept", "GITHUB_PATH=/dev/null",
                                            "GITHUB_STATE=", kPageVariable));
  EXPECT_THAT(inside.closed_files, ElementsAre("GITHUB_ENV")) << "the others named no file";
}

TEST(CommandEnvironment, NamesThePageOfThisGateway) {
  EXPECT_THAT(command_environment({"SOLEROUTE=http://other.example/"}, false).variables, ElementsAre(kPageVariable));
}

}  // namespace
}  // namespace soleroute::gateway::jail
