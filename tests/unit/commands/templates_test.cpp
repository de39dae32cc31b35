// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/templates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

#include "policy/policy.h"

namespace soleroute::gateway::commands {
namespace {

std::string_view text_of(std::string_view agent, std::string_view path) {
  const auto files = template_files();
  const auto found =
      std::ranges::find_if(files, [&](const TemplateFile& file) { return file.agent == agent && file.path == path; });
  return found == files.end() ? std::string_view{} : found->text;
}

TEST(Templates, HaveEveryFileForEveryAgent) {
  EXPECT_THAT(template_agents(), ::testing::ElementsAre("claude", "copilot"));
  for (const std::string& agent : template_agents()) {
    for (const char* path :
         {".env", ".devcontainer/compose.yaml", ".devcontainer/policy.yaml", ".devcontainer/devcontainer.json"}) {
      EXPECT_FALSE(text_of(agent, path).empty()) << agent << " " << path;
    }
  }
}

TEST(Templates, ShareOneComposeFile) {
  EXPECT_EQ(text_of("claude", ".devcontainer/compose.yaml"), text_of("copilot", ".devcontainer/compose.yaml"));
}

TEST(Templates, HaveAPolicyThatCompilesAndAllowsItsAgent) {
  for (const std::string& agent : template_agents()) {
    const std::array sources{
        policy::PolicySource{"policy.yaml", std::string(text_of(agent, ".devcontainer/policy.yaml"))}};
    const auto policy = policy::Policy::compile(sources);
    ASSERT_TRUE(policy.has_value()) << agent << ": " << policy.error().message;
    EXPECT_THAT((*policy)->describe(), ::testing::HasSubstr(agent == "claude" ? "anthropic.com" : "githubcopilot.com"));
  }
}

TEST(ProjectName, IsWhatComposeTakes) {
  struct Row {
    const char* folder;
    const char* expected;
  };
  const Row rows[] = {
      {"website", "website"}, {"My Web_Site", "my-web-site"},
      {"2048", "p-2048"},     {"...", "claude"},
      {"", "claude"},         {"--a--b--", "a-b"},
      {"日本", "claude"},     {"a\nCOMPOSE_FILE=x", "a-compose-file-x"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(project_name(row.folder, "claude"), row.expected) << row.folder;
  }
  EXPECT_LE(project_name(std::string(500, 'x'), "claude").size(), 40U);
}

TEST(ProjectNetwork, IsStableAndTellsProjectsApart) {
  EXPECT_EQ(project_network("/srv/a"), project_network("/srv/a"));
  EXPECT_NE(project_network("/srv/a"), project_network("/srv/b"));
  EXPECT_THAT(project_network("/srv/a"), ::testing::MatchesRegex("10\\.[0-9]+\\.[0-9]+"));
}

TEST(FilledIn, ReplacesNameAndNetworkAlone) {
  const std::string text = filled_in(text_of("claude", ".env"), "website", "10.200.3");
  EXPECT_THAT(text, ::testing::HasSubstr("\nCOMPOSE_PROJECT_NAME=website\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("\nSOLEROUTE_NET=10.200.3\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("\nCOMPOSE_FILE=.devcontainer/compose.yaml\n"));
  EXPECT_THAT(text, ::testing::HasSubstr("SOLEROUTE_AGENT_STATE=.claude\n"));
  EXPECT_EQ(filled_in("no newline at the end", "a", "10.0.0"), "no newline at the end");
}

}  // namespace
}  // namespace soleroute::gateway::commands
