// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/joined_dockerfile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <string>

namespace soleroute::gateway::project {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string text_of(const std::string& path) {
  std::ifstream in(std::string(SOLEROUTE_SOURCE_DIR) + "/" + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(JoinedDockerfile, HasArgumentsFirstAndNamesTheImages) {
  const std::array recipes{
      Recipe{"one",
             "# comment\nARG BASE=debian:1\n\nFROM ${BASE} AS build\nARG INNER=\nRUN x\nFROM scratch\nCOPY a b\n",
             "first-image", "FIRST"},
      Recipe{"two", "ARG BASE=debian:2\nARG FIRST=x/first:1\nFROM ${FIRST}\nRUN y \\\n  && z\n\n", "second-image", ""},
  };
  EXPECT_EQ(joined_dockerfile(recipes).value(),
            "ARG FIRST=first-image\nARG BASE=debian:1\n"
            "\n# one\nFROM ${BASE} AS build\nARG INNER=\nRUN x\nFROM scratch AS first-image\nCOPY a b\n"
            "\n# two\nFROM ${FIRST} AS second-image\nRUN y \\\n  && z\n");
}

TEST(JoinedDockerfile, RefusesStagesOfOneName) {
  const std::array recipes{Recipe{"one", "FROM a AS x\nFROM b\n", "first", "A"},
                           Recipe{"two", "FROM c AS x\nFROM d\n", "second", ""}};
  EXPECT_EQ(joined_dockerfile(recipes).error().message, "two: another recipe has a stage 'x' too");
}

TEST(JoinedDockerfile, RefusesARecipeWithoutAnImage) {
  for (const char* text : {"", "# nothing\n", "ARG A=1\n", "FROM a AS named\n"}) {
    const std::array recipes{Recipe{"one", text, "first", ""}};
    EXPECT_THAT(joined_dockerfile(recipes).error().message, HasSubstr("one: the last stage must be there"));
  }
}

TEST(JoinedDockerfile, IsMadeOfTheRecipesOfThisRepository) {
  const std::string gateway = text_of("docker/gateway/Dockerfile");
  const std::string base = text_of("docker/base/Dockerfile");
  const std::string agents = text_of("docker/agents/Dockerfile");
  const std::array recipes{Recipe{"gateway", gateway, "gateway-image", "GATEWAY_IMAGE"},
                           Recipe{"base", base, "base-image", "AGENT_BASE_IMAGE"},
                           Recipe{"agents", agents, "agent-image", ""}};
  const auto joined = joined_dockerfile(recipes);
  ASSERT_TRUE(joined.has_value()) << joined.error().message;
  EXPECT_THAT(*joined, HasSubstr("\nFROM ${GATEWAY_IMAGE} AS gateway\n"));
  EXPECT_THAT(*joined, HasSubstr("\nFROM ${AGENT_BASE_IMAGE} AS agent-image\n"));
  EXPECT_THAT(*joined, Not(HasSubstr("=soleroute/"))) << "no image of ours is asked of a registry";
}

}  // namespace
}  // namespace soleroute::gateway::project
