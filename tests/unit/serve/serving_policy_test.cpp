// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/serving_policy.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace soleroute::gateway::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ServingPolicy : public ::testing::Test {
 protected:
  ServingPolicy() : folder_(::testing::TempDir() + "serving_policy_" + std::to_string(::getpid())) {
    std::filesystem::create_directory(folder_);
  }
  ~ServingPolicy() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  static bool allows(const policy::Policy& policy, const std::string& host) {
    policy::FlowFacts facts;
    facts.host = base::HostName::parse(host).value();
    return policy.decide(facts).allowed();
  }

  std::string folder_;
};

TEST_F(ServingPolicy, LaysFilesOverTheBaseServiceAndSkipsOptionalOnesThatAreNotThere) {
  ServeOptions options;
  options.base_service = "claude";
  const std::string user = file("user.yaml", "domains: [mine.test]\n");
  options.optional_policy_files = {user, folder_ + "/absent.yaml"};
  const auto policy = load_serving_policy(options);
  ASSERT_TRUE(policy.has_value()) << policy.error().message;
  EXPECT_TRUE(allows(**policy, "api.anthropic.com"));
  EXPECT_TRUE(allows(**policy, "mine.test"));
  EXPECT_FALSE(allows(**policy, "other.test"));
  EXPECT_THAT(serving_policy_files(options), ElementsAre(user));
  file("absent.yaml", "domains: [other.test]\n");
  EXPECT_TRUE(allows(**load_serving_policy(options), "other.test")) << "there by now: the next reload has it";
}

TEST_F(ServingPolicy, MissesAFileThatWasNamed) {
  ServeOptions options;
  options.policy_files = {folder_ + "/absent.yaml"};
  EXPECT_FALSE(load_serving_policy(options).has_value());
}

TEST_F(ServingPolicy, TakesTheModeOfTheOptionsOverThatOfTheFiles) {
  ServeOptions options;
  options.policy_files = {file("a.yaml", "mode: observe\n")};
  EXPECT_EQ((*load_serving_policy(options))->mode(), policy::Mode::kObserve);
  options.mode = policy::Mode::kEnforce;
  EXPECT_EQ((*load_serving_policy(options))->mode(), policy::Mode::kEnforce);
  options.policy_files.clear();
  options.mode = policy::Mode::kObserve;
  EXPECT_EQ((*load_serving_policy(options))->mode(), policy::Mode::kObserve);
}

TEST_F(ServingPolicy, NamesAnUnknownBaseService) {
  ServeOptions options;
  options.base_service = "claud";
  const auto policy = load_serving_policy(options);
  ASSERT_FALSE(policy.has_value());
  EXPECT_THAT(policy.error().message, HasSubstr("claud"));
}

TEST_F(ServingPolicy, DeniesEverythingWithoutAnyFile) {
  const auto policy = load_serving_policy({});
  ASSERT_TRUE(policy.has_value());
  EXPECT_TRUE((*policy)->denies_everything());
}

}  // namespace
}  // namespace soleroute::gateway::serve
