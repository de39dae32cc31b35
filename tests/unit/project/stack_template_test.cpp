// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/stack_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "gateway/project/agent_catalog.h"
#include "gateway/project/embedded_file.h"
#include "policy/policy.h"

namespace soleroute::gateway::project {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Agent agent(const std::string& name) {
  return {.name = name,
          .title = "Agent " + name,
          .package = {name, "1.0.0"},
          .command = name,
          .services = {"github"},
          .state = {"." + name, ".config/" + name},
          .environment = {{"SHARED", "1"}},
          .extensions = {"someone." + name},
          .notes = {}};
}

Stack stack(std::vector<Agent> agents) {
  return {.project = "website-123456",
          .network = "10.200.3",
          .gateway_image = "soleroute/gateway:9.9.9",
          .agent_image = image_name(agents, "9.9.9"),
          .agents = std::move(agents)};
}

std::string text_of(const Stack& stack, std::string_view path) {
  const auto files = project_files(stack);
  EXPECT_TRUE(files.has_value());
  const auto found = std::ranges::find(*files, path, &ProjectFile::path);
  return found == files->end() ? std::string{} : found->text;
}

TEST(StackTemplate, BecomesTheFilesOfAProject) {
  std::vector<std::string> paths;
  const auto files = project_files(stack({agent("a")})).value();
  for (const auto& file : files) paths.push_back(file.path);
  EXPECT_THAT(paths, ElementsAre(".devcontainer/.env", ".devcontainer/compose.yaml", ".devcontainer/devcontainer.json",
                                 ".devcontainer/policy.yaml", ".env"));
}

TEST(StackTemplate, LeavesNothingToFillIn) {
  for (const Engine engine : {Engine::kDocker, Engine::kPodman}) {
    Stack one = stack({agent("a")});
    one.engine = engine;
    const auto files = project_files(one).value();
    for (const auto& file : files) {
      EXPECT_THAT(file.text, Not(HasSubstr("SOLEROUTE_"))) << file.path;
      EXPECT_THAT(file.text, Not(HasSubstr("#@"))) << file.path;
      EXPECT_TRUE(file.text.ends_with('\n') && !file.text.ends_with("\n\n")) << file.path;
    }
  }
}

TEST(StackTemplate, AsItIsNamesInitWhereverAValueIsMissing) {
  int values = 0;
  for (const EmbeddedFile& file : template_files()) {
    for (std::size_t at = file.text.find("${SOLEROUTE_"); at != std::string_view::npos;
         at = file.text.find("${SOLEROUTE_", at + 1)) {
      EXPECT_THAT(std::string(file.text.substr(at, file.text.find('}', at) - at)), HasSubstr(":?run 'gateway init'"));
      ++values;
    }
  }
  EXPECT_GE(values, 5);
}

TEST(StackTemplate, HasLiteralValues) {
  const std::string compose = text_of(stack({agent("a")}), ".devcontainer/compose.yaml");
  EXPECT_THAT(compose, HasSubstr("image: \"soleroute/gateway:9.9.9\"\n"));
  EXPECT_THAT(compose, HasSubstr("image: \"soleroute/a:9.9.9\"\n"));
  EXPECT_THAT(compose, HasSubstr("GATEWAY_CLAIM: 10.200.3.2/24\n"));
  EXPECT_THAT(compose, HasSubstr("subnet: 10.200.3.0/24\n"));
  for (const char* path : {".env", ".devcontainer/.env"}) {
    EXPECT_THAT(text_of(stack({agent("a")}), path), HasSubstr("\nCOMPOSE_PROJECT_NAME=website-123456\n"));
  }
  EXPECT_THAT(text_of(stack({agent("a")}), ".env"), HasSubstr("\nCOMPOSE_FILE=.devcontainer/compose.yaml\n"));
}

TEST(StackTemplate, GivesEveryStateFolderItsOwnVolume) {
  const std::string compose = text_of(stack({agent("a"), agent("b")}), ".devcontainer/compose.yaml");
  for (const char* line : {"      - state-a:/home/dev/.a\n", "      - state-config.a:/home/dev/.config/a\n",
                           "      - state-b:/home/dev/.b\n", "  state-a: {}\n", "  state-config.b: {}\n"}) {
    EXPECT_THAT(compose, HasSubstr(line));
  }
}

TEST(StackTemplate, HasTheAgentsVariablesAsTheyAre) {
  Agent one = agent("a");
  one.environment = {{"A", "$HOME \"quoted\" \\ ${X}"}, {"B", ""}};
  const std::string compose = text_of(stack({one}), ".devcontainer/compose.yaml");
  EXPECT_THAT(compose, HasSubstr("    environment:\n      A: \"$$HOME \\\"quoted\\\" \\\\ $${X}\"\n      B: \"\"\n"));
  one.environment.clear();
  EXPECT_THAT(text_of(stack({one}), ".devcontainer/compose.yaml"),
              HasSubstr("network_mode: \"service:agent-net\"\n    depends_on:"));
}

TEST(StackTemplate, HasAPolicyThatCompilesAndAllowsItsAgents) {
  const std::array sources{policy::PolicySource{
      "policy.yaml",
      text_of(stack({*built_in_agent("claude"), *built_in_agent("copilot")}), ".devcontainer/policy.yaml")}};
  const auto policy = policy::Policy::compile(sources);
  ASSERT_TRUE(policy.has_value()) << policy.error().message;
  EXPECT_THAT((*policy)->describe(), HasSubstr("anthropic.com"));
  EXPECT_THAT((*policy)->describe(), HasSubstr("githubcopilot.com"));

  Agent none = agent("a");
  none.services.clear();
  const std::array closed{policy::PolicySource{"policy.yaml", text_of(stack({none}), ".devcontainer/policy.yaml")}};
  EXPECT_TRUE(policy::Policy::compile(closed).has_value());
}

TEST(StackTemplate, NamesTheServicesOnce) {
  const std::string policy = text_of(stack({agent("a"), agent("b")}), ".devcontainer/policy.yaml");
  EXPECT_THAT(policy, HasSubstr("services:\n  - github\n  # - vscode"));
}

TEST(StackTemplate, HasADevcontainerWithTitlesAndExtensions) {
  const auto json = nlohmann::json::parse(text_of(stack({agent("a"), agent("b")}), ".devcontainer/devcontainer.json"));
  EXPECT_EQ(json["name"], "Agent a, Agent b behind Soleroute");
  EXPECT_EQ(json["dockerComposeFile"], "compose.yaml");
  EXPECT_EQ(json["customizations"]["vscode"]["extensions"], (nlohmann::json{"someone.a", "someone.b"}));
  EXPECT_EQ(json["remoteUser"], "dev");
}

TEST(StackTemplate, ForPodmanHasItsOverrideInEveryList) {
  Stack one = stack({agent("a")});
  one.engine = Engine::kPodman;
  EXPECT_THAT(text_of(one, ".devcontainer/podman.yaml"), HasSubstr("subnet: 10.200.3.0/24\n"));
  EXPECT_THAT(text_of(one, ".env"), HasSubstr("COMPOSE_FILE=.devcontainer/compose.yaml:.devcontainer/podman.yaml\n"));
  EXPECT_THAT(text_of(one, ".devcontainer/compose.yaml"), HasSubstr("tmpfs: [\"/run:mode=1777\"]"));
  EXPECT_EQ(nlohmann::json::parse(text_of(one, ".devcontainer/devcontainer.json"))["dockerComposeFile"],
            (nlohmann::json{"compose.yaml", "podman.yaml"}));
}

TEST(StackTemplate, ThatBuildsHasItsContextsInAnOverride) {
  Stack one = stack({agent("a"), agent("b")});
  EXPECT_EQ(text_of(one, ".devcontainer/build.yaml"), "");
  EXPECT_EQ(text_of(one, kDockerfile), "");
  one.build = Build{.dockerfile = "FROM scratch\n",
                    .dockerfile_path = "/src/web/.devcontainer/Dockerfile",
                    .clone = "/src/my \"clone\"",
                    .user = 1000};
  EXPECT_EQ(text_of(one, kDockerfile), "FROM scratch\n");
  const std::string build = text_of(one, ".devcontainer/build.yaml");
  EXPECT_THAT(build, HasSubstr("context: \"/src/my \\\"clone\\\"\"\n"));
  EXPECT_THAT(build, HasSubstr("dockerfile: \"/src/web/.devcontainer/Dockerfile\"\n"));
  EXPECT_THAT(build, HasSubstr("        DEV_UID: \"1000\"\n"));
  EXPECT_THAT(build, HasSubstr("AGENTS: \"a b\"\n"));
  EXPECT_THAT(build, Not(HasSubstr("SOLEROUTE_")));
  EXPECT_THAT(build, Not(HasSubstr("additional_contexts")));
  EXPECT_THAT(text_of(one, ".env"), HasSubstr("COMPOSE_FILE=.devcontainer/compose.yaml:.devcontainer/build.yaml\n"));
  EXPECT_EQ(nlohmann::json::parse(text_of(one, ".devcontainer/devcontainer.json"))["dockerComposeFile"],
            (nlohmann::json{"compose.yaml", "build.yaml"}));

  one.build->user = std::nullopt;
  one.build->own_agents = true;
  EXPECT_THAT(text_of(one, ".devcontainer/build.yaml"), HasSubstr("      additional_contexts: {own: ./agents}\n"));
  EXPECT_THAT(text_of(one, ".devcontainer/build.yaml"), Not(HasSubstr("DEV_UID")));
}

TEST(StackTemplate, RefusesAgentsThatDisturbEachOther) {
  Agent other = agent("b");
  other.state = {".a"};
  const auto folder = project_files(stack({agent("a"), other}));
  ASSERT_FALSE(folder.has_value());
  EXPECT_THAT(folder.error().message, HasSubstr("agents 'a' and 'b' both keep their state in ~/.a"));

  other = agent("b");
  other.environment = {{"SHARED", "2"}};
  const auto variable = project_files(stack({agent("a"), other}));
  ASSERT_FALSE(variable.has_value());
  EXPECT_THAT(variable.error().message, HasSubstr("agents 'a' and 'b' need different values of SHARED"));
}

TEST(ImageName, NamesEveryAgent) {
  EXPECT_EQ(image_name({agent("claude"), agent("codex")}, "0.1.0"), "soleroute/claude-codex:0.1.0");
}

}  // namespace
}  // namespace soleroute::gateway::project
