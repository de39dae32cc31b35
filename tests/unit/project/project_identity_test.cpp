// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/project_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace soleroute::gateway::project {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

TEST(ProjectName, IsTheFoldersNameAndAHashOfItsPath) {
  struct Row {
    const char* folder;
    const char* expected;
  };
  const Row rows[] = {
      {"/srv/website", "website-[0-9a-f]{6}"},
      {"/srv/My Web_Site", "my-web-site-[0-9a-f]{6}"},
      {"/srv/2048", "p-2048-[0-9a-f]{6}"},
      {"/srv/...", "claude-[0-9a-f]{6}"},
      {"/", "claude-[0-9a-f]{6}"},
      {"/srv/--a--b--", "a-b-[0-9a-f]{6}"},
      {"/srv/日本", "claude-[0-9a-f]{6}"},
      {"/srv/a\nCOMPOSE_FILE=x", "a-compose-file-x-[0-9a-f]{6}"},
  };
  for (const Row& row : rows) {
    const std::string name = project_name(row.folder, "claude");
    EXPECT_THAT(name, MatchesRegex(row.expected)) << row.folder;
    EXPECT_TRUE(is_project_name(name)) << name;
  }
  EXPECT_TRUE(is_project_name(project_name("/srv/" + std::string(500, 'x'), "claude")));
}

TEST(ProjectName, DiffersBetweenFoldersOfOneName) {
  EXPECT_NE(project_name("/x/app", "claude"), project_name("/y/app", "claude"));
  EXPECT_EQ(project_name("/x/app", "claude"), project_name("/x/app", "claude"));
}

TEST(ProjectName, ThatComposeWouldChangeIsNone) {
  for (const char* text : {"website", "2048", "a-b_c"}) EXPECT_TRUE(is_project_name(text)) << text;
  for (const char* text : {"", "Website", "-a", "_a", "a b", "a/b", "a.b"}) EXPECT_FALSE(is_project_name(text)) << text;
  EXPECT_FALSE(is_project_name(std::string(64, 'a')));
}

TEST(ProjectNetwork, IsStableAndTellsProjectsApart) {
  EXPECT_EQ(project_network("/srv/a"), project_network("/srv/a"));
  EXPECT_NE(project_network("/srv/a"), project_network("/srv/b"));
  EXPECT_THAT(project_network("/srv/a"), MatchesRegex("10\\.[0-9]+\\.[0-9]+"));
}

TEST(ProjectNetwork, HasFurtherCandidates) {
  std::set<std::string> networks;
  for (unsigned attempt = 0; attempt < 10; ++attempt) networks.insert(project_network("/srv/a", attempt));
  EXPECT_GE(networks.size(), 9U);
}

TEST(NetworkOf, TakesAPrivateSlash24Alone) {
  EXPECT_EQ(network_of("10.150.3.0/24").value(), "10.150.3");
  EXPECT_EQ(network_of("192.168.7.0/24").value(), "192.168.7");
  EXPECT_EQ(network_of("172.31.255.0/24").value(), "172.31.255");
  struct Row {
    const char* text;
    const char* what;
  };
  for (const Row& row :
       {Row{"10.150.3", "is not a network"}, Row{"10.150.3.0/16", ""}, Row{"10.150.0.0/16", "is not an IPv4 /24"},
        Row{"fd00::/24", "is not an IPv4 /24"}, Row{"1.2.3.0/24", "is public"}, Row{"", "is not a network"},
        Row{"10.150.3.1/24", "is not a network"}, Row{"10.1.2.0/24\n", "is not a network"}}) {
    const auto network = network_of(row.text);
    ASSERT_FALSE(network.has_value()) << row.text;
    EXPECT_THAT(network.error().message, HasSubstr(row.what)) << row.text;
    EXPECT_THAT(network.error().message, HasSubstr("such as 10.150.3.0/24"));
  }
}

}  // namespace
}  // namespace soleroute::gateway::project
