// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/env_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soleroute::gateway::project {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kLines = "# comment\nCOMPOSE_FILE=.devcontainer/compose.yaml\nCOMPOSE_PROJECT_NAME=web-1\n";

TEST(EnvValue, IsTheLastOneThatIsSet) {
  struct Row {
    const char* text;
    std::optional<std::string> expected;
  };
  for (const Row& row : {
           Row{"", {}},
           Row{"A=1\n", "1"},
           Row{"A=1", "1"},
           Row{"A=1\nA=2\n", "2"},
           Row{"  A = 1 \r\n", "1"},
           Row{"export A=1\n", "1"},
           Row{"A=\"a b\"\n", "a b"},
           Row{"A='a'\n", "a"},
           Row{"A=\n", ""},
           Row{"# A=1\n", {}},
           Row{"AB=1\nBA=2\n", {}},
           Row{"A\n=\n", {}},
       }) {
    EXPECT_EQ(env_value(row.text, "A"), row.expected) << row.text;
  }
}

TEST(PlanEnv, WritesANewFileInAFolderWithout) {
  for (const bool append : {false, true}) {
    const auto plan = plan_env({}, kLines, {.append = append});
    EXPECT_EQ(plan.action, EnvAction::kWrite);
    EXPECT_TRUE(plan.short_command);
    EXPECT_THAT(plan.notes, IsEmpty());
  }
}

TEST(PlanEnv, AddsToAFileOnlyWhenAsked) {
  const FolderState state{.env = "MINE=1\n", .compose_files = {}};
  const auto kept = plan_env(state, kLines, {});
  EXPECT_EQ(kept.action, EnvAction::kKeep);
  EXPECT_FALSE(kept.short_command);
  EXPECT_TRUE(kept.append_possible);
  const auto added = plan_env(state, kLines, {.append = true});
  EXPECT_EQ(added.action, EnvAction::kAppend);
  EXPECT_TRUE(added.short_command);
}

TEST(PlanEnv, NeverChangesWhatTheProjectsOwnComposeFilesMean) {
  for (const auto& state : {FolderState{.env = "MINE=1\n", .compose_files = {"docker-compose.yml"}},
                            FolderState{.env = "COMPOSE_FILE=app.yaml\n", .compose_files = {}},
                            FolderState{.env = "COMPOSE_PROJECT_NAME=app\n", .compose_files = {}}}) {
    const auto plan = plan_env(state, kLines, {.append = true});
    EXPECT_EQ(plan.action, EnvAction::kKeep) << *state.env;
    EXPECT_FALSE(plan.short_command);
    EXPECT_FALSE(plan.append_possible);
    EXPECT_EQ(plan.notes.size(), 1U);
  }
  const auto without = plan_env({.env = {}, .compose_files = {"compose.yaml", "docker-compose.yml"}}, kLines, {});
  EXPECT_EQ(without.action, EnvAction::kComment);
  EXPECT_FALSE(without.short_command);
  EXPECT_THAT(without.notes, ElementsAre(HasSubstr("compose.yaml, docker-compose.yml is this project's own")));
}

TEST(PlanEnv, SaysThatAnotherNameMakesTwoStacks) {
  const auto plan = plan_env({.env = "COMPOSE_PROJECT_NAME=app\n", .compose_files = {}}, kLines, {});
  EXPECT_THAT(plan.notes, ElementsAre(HasSubstr("IDEs take that name, `docker compose -f` takes web-1: two stacks")));
}

TEST(PlanEnv, ChangesTheLinesOfAnEarlierInitWhenAsked) {
  const FolderState earlier{
      .env = "MINE=1\nCOMPOSE_FILE=.devcontainer/compose.yaml:.devcontainer/podman.yaml\nCOMPOSE_PROJECT_NAME=old\n",
      .compose_files = {}};
  EXPECT_EQ(plan_env(earlier, kLines, {}).action, EnvAction::kKeep);
  const auto plan = plan_env(earlier, kLines, {.replace = true});
  EXPECT_EQ(plan.action, EnvAction::kUpdate);
  EXPECT_TRUE(plan.short_command);
  EXPECT_EQ(updated_env(*earlier.env, kLines),
            "MINE=1\nCOMPOSE_FILE=.devcontainer/compose.yaml\nCOMPOSE_PROJECT_NAME=web-1\n");
  // Lines that are the user's stay.
  const FolderState other{.env = "COMPOSE_FILE=app.yaml\nCOMPOSE_PROJECT_NAME=app\n", .compose_files = {}};
  EXPECT_EQ(plan_env(other, kLines, {.replace = true}).action, EnvAction::kKeep);
}

TEST(UpdatedEnv, ChangesNothingElse) {
  EXPECT_EQ(updated_env("# COMPOSE_FILE=x\nA=1\nexport COMPOSE_FILE=y", kLines),
            "# COMPOSE_FILE=x\nA=1\nCOMPOSE_FILE=.devcontainer/compose.yaml\n");
  EXPECT_EQ(updated_env("", kLines), "");
}

TEST(PlanEnv, TakesAFileThatHasTheLinesAsItIs) {
  const auto plan = plan_env({.env = std::string("MINE=1\n") + kLines, .compose_files = {}}, kLines, {});
  EXPECT_EQ(plan.action, EnvAction::kKeep);
  EXPECT_TRUE(plan.short_command);
  EXPECT_THAT(plan.notes, IsEmpty());
}

}  // namespace
}  // namespace soleroute::gateway::project
