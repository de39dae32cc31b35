// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/agent_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "gateway/project/agent_catalog.h"

namespace soleroute::gateway::project {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr const char* kWhole = R"(# comment
name: mine
title: My agent
package: {npm: "@scope/my-agent", version: 1.2.3}
command: mine
services: [claude, github]
state: [.mine, .config/mine]
environment: {NO_UPDATE: "1", EMPTY: ""}
extensions: [someone.my-agent]
notes: Sign in first.
)";

TEST(AgentFile, IsReadWhole) {
  const auto agent = read_agent("mine.yaml", "mine", kWhole);
  ASSERT_TRUE(agent.has_value()) << agent.error().message;
  EXPECT_EQ(agent->name, "mine");
  EXPECT_EQ(agent->title, "My agent");
  EXPECT_EQ(agent->package, (AgentPackage{"@scope/my-agent", "1.2.3"}));
  EXPECT_EQ(agent->command, "mine");
  EXPECT_THAT(agent->services, ElementsAre("claude", "github"));
  EXPECT_THAT(agent->state, ElementsAre(".mine", ".config/mine"));
  EXPECT_THAT(agent->environment, ElementsAre(Pair("NO_UPDATE", "1"), Pair("EMPTY", "")));
  EXPECT_THAT(agent->extensions, ElementsAre("someone.my-agent"));
  EXPECT_EQ(agent->notes, "Sign in first.");
}

TEST(AgentFile, NeedsFourKeysAlone) {
  const std::string least = "name: a\ntitle: A\npackage: {npm: a, version: 1.0.0}\ncommand: a\n";
  EXPECT_TRUE(read_agent("a.yaml", "a", least).has_value());
  for (const char* line : {"name: a\n", "title: A\n", "package: {npm: a, version: 1.0.0}\n", "command: a\n"}) {
    std::string without = least;
    without.erase(without.find(line), std::string(line).size());
    const auto agent = read_agent("a.yaml", "a", without);
    ASSERT_FALSE(agent.has_value()) << line;
    EXPECT_THAT(agent.error().message, HasSubstr("an agent needs '"));
  }
}

// `from` of the whole file becomes `to`; the error is at `place`.
struct WrongValue {
  const char* from;
  const char* to;
  const char* place;
  const char* what;
};

class AgentFileWrongValue : public ::testing::TestWithParam<WrongValue> {};

TEST_P(AgentFileWrongValue, IsAnErrorAtItsPlace) {
  const auto& row = GetParam();
  std::string text = kWhole;
  const auto at = text.find(row.from);
  ASSERT_NE(at, std::string::npos) << row.from;
  text.replace(at, std::string(row.from).size(), row.to);
  const auto agent = read_agent("mine.yaml", "mine", text);
  ASSERT_FALSE(agent.has_value()) << row.to;
  EXPECT_EQ(agent.error().kind, base::ErrorKind::kUsage);
  EXPECT_THAT(agent.error().message, StartsWith(std::string("mine.yaml:") + row.place + ": ")) << row.to;
  EXPECT_THAT(agent.error().message, HasSubstr(row.what));
  EXPECT_THAT(agent.error().message, HasSubstr("^")) << "a caret";
}

INSTANTIATE_TEST_SUITE_P(
    All, AgentFileWrongValue,
    ::testing::Values(
        WrongValue{"name: mine", "name: other", "2:7", "the file is called mine.yaml"},
        WrongValue{"name: mine", "name: Mine", "2:7", "name cannot be 'Mine'"},
        WrongValue{"title: My agent", "titel: My agent", "3:1", "unknown key 'titel', did you mean 'title'?"},
        WrongValue{"title: My agent", "title: \"\"", "3:8", "title is empty"},
        WrongValue{"title: My agent", "title: \"a\\nb\"", "3:8", "title must be one line"},
        WrongValue{"title: My agent", "name: mine", "3:1", "duplicate key 'name'"},
        WrongValue{"\"@scope/my-agent\"", "\"a b\"", "4:16", "npm cannot be 'a b'"},
        WrongValue{"\"@scope/my-agent\"", "\"$(id)\"", "4:16", "npm cannot be '$(id)'"},
        WrongValue{"\"@scope/my-agent\"", "\"../evil\"", "4:16", "npm cannot be"},
        WrongValue{"\"@scope/my-agent\"", "\"@scope\"", "4:16", "npm cannot be"},
        WrongValue{"version: 1.2.3", "version: 1.2", "4:44", "version must be text, not a number"},
        WrongValue{"version: 1.2.3", "version: latest", "4:44", "version cannot be 'latest'"},
        WrongValue{"version: 1.2.3", "version: ^1.2.3", "4:44", "version cannot be '^1.2.3'"},
        WrongValue{", version: 1.2.3", "", "4:10", "package needs 'version'"},
        WrongValue{"npm: \"@scope/my-agent\", ", "", "4:10", "package needs 'npm'"},
        WrongValue{"package: {", "package: {pip: x, ", "4:11", "unknown key 'pip'"},
        WrongValue{"command: mine", "command: mine --yes", "5:10", "command cannot be 'mine --yes'"},
        WrongValue{"command: mine", "command: [mine]", "5:10", "command must be text, not a list"},
        WrongValue{"[claude, github]", "[claude, githbu]", "6:20", "unknown service 'githbu', did you mean 'github'?"},
        WrongValue{"[claude, github]", "[claude, claude]", "6:20", "'claude' is listed twice"},
        WrongValue{"[claude, github]", "claude", "6:11", "services must be a list"},
        WrongValue{".config/mine", "../mine", "7:16", "an item of state cannot be '../mine'"},
        WrongValue{".config/mine", "/etc", "7:16", "an item of state cannot be '/etc'"},
        WrongValue{".config/mine", "a//b", "7:16", "an item of state cannot be 'a//b'"},
        WrongValue{".config/mine", "a:/b", "7:16", "an item of state cannot be 'a:/b'"},
        WrongValue{"NO_UPDATE: \"1\"", "NO_UPDATE: 1", "8:26", "NO_UPDATE must be text, not a number; quote it"},
        WrongValue{"NO_UPDATE: \"1\"", "NO-UPDATE: \"1\"", "8:15", "a variable's name cannot be 'NO-UPDATE'"},
        WrongValue{"NO_UPDATE: \"1\"", "NO_UPDATE: \"1\\n2\"", "8:26", "NO_UPDATE must be one line"},
        WrongValue{"someone.my-agent", "my-agent", "9:14", "an item of extensions cannot be 'my-agent'"},
        WrongValue{"notes: Sign in first.", "notes: {a: b}", "10:8", "notes must be text, not a mapping"}));

TEST(AgentFile, OfNothingIsAnError) {
  for (const char* text : {"", "# only a comment\n", "[]\n", "claude\n"}) {
    const auto agent = read_agent("a.yaml", "a", text);
    ASSERT_FALSE(agent.has_value());
    EXPECT_THAT(agent.error().message, HasSubstr("an agent's file must be a mapping")) << text;
  }
}

TEST(AgentFile, IsOneJsonObjectWithEveryKey) {
  const auto agent = read_agent("mine.yaml", "mine", kWhole);
  ASSERT_TRUE(agent.has_value());
  const auto json = nlohmann::json::parse(agent_json(*agent));
  EXPECT_EQ(json["package"]["npm"], "@scope/my-agent");
  EXPECT_EQ(json["environment"]["NO_UPDATE"], "1");
  EXPECT_EQ(json["state"], (nlohmann::json{".mine", ".config/mine"}));
  for (const char* key : {"name", "title", "command", "services", "extensions", "notes"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  const auto bare = read_agent("a.yaml", "a", "name: a\ntitle: A\npackage: {npm: a, version: 1.0.0}\ncommand: a\n");
  EXPECT_EQ(nlohmann::json::parse(agent_json(*bare))["environment"], nlohmann::json::object());
}

TEST(AgentCatalog, HasOnlyFilesThatAreFine) {
  EXPECT_THAT(agent_names(), IsSupersetOf({"claude", "copilot"}));
  for (const auto name : agent_names()) {
    const auto agent = built_in_agent(name);
    ASSERT_TRUE(agent.has_value()) << agent.error().message;
    EXPECT_FALSE(agent->state.empty()) << name << ": what it keeps is lost when its container is made anew";
    EXPECT_FALSE(agent->services.empty()) << name;
    EXPECT_FALSE(agent->notes.empty()) << name;
  }
}

TEST(AgentCatalog, SuggestsForAnUnknownName) {
  const auto near = built_in_agent("cluade");
  ASSERT_FALSE(near.has_value());
  EXPECT_EQ(near.error().message, "unknown agent 'cluade', did you mean 'claude'?");
  const auto far = built_in_agent("something");
  ASSERT_FALSE(far.has_value());
  EXPECT_THAT(far.error().message, HasSubstr("known: "));
}

}  // namespace
}  // namespace soleroute::gateway::project
