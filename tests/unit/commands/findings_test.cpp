// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/findings.h"

#include <gtest/gtest.h>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): setenv is POSIX

#include <filesystem>
#include <string>

namespace soleroute::gateway::commands {
namespace {

const PolicyFinding kFault{.level = PolicyFinding::Level::kError,
                           .rule = kPolicyError,
                           .file = "a,b:c/policy 1.yaml",
                           .line = 3,
                           .column = 5,
                           .message = "100% wrong\n::error::second, line \x1b[2J"};

class Findings : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"GITHUB_WORKSPACE", "CI_PROJECT_DIR", "GITHUB_ACTIONS"}) ::unsetenv(name);
  }
  void TearDown() override { SetUp(); }
};

TEST_F(Findings, OfOthersTextAreOneAnnotationForGitHub) {
  EXPECT_EQ(
      to_github({kFault}, "gateway check"),
      "::error file=a%2Cb%3Ac/policy 1.yaml,line=3,col=5,title=gateway check::100%25 wrong%0A::error::second, line "
      "\\u{001b}[2J\n");
  EXPECT_EQ(
      to_github({{.level = PolicyFinding::Level::kWarning, .rule = kPolicyWarning, .file = "p.yaml", .message = "m"}},
                "t"),
      "::warning file=p.yaml,title=t::m\n");
  EXPECT_EQ(to_github({}, "t"), "");
}

TEST_F(Findings, HaveAUriAndALineInSarif) {
  const auto sarif = to_sarif({kFault});
  for (const char* part : {"\"version\": \"2.1.0\"", "\"uri\": \"a%2Cb%3Ac/policy%201.yaml\"", "\"startLine\": 3",
                           "\"startColumn\": 5", "\"ruleId\": \"policy-error\"", "\"level\": \"error\""}) {
    EXPECT_NE(sarif.find(part), std::string::npos) << part << "\n" << sarif;
  }
  EXPECT_EQ(sarif.find('\x1b'), std::string::npos);
  EXPECT_NE(to_sarif({}).find("\"results\": []"), std::string::npos) << "nothing found is a result too";
}

TEST_F(Findings, HaveFingerprintsOfTheirOwnForGitLab) {
  const auto once = to_code_quality({kFault});
  const auto twice = to_code_quality({kFault, kFault});
  const auto print = [](const std::string& text, std::size_t from) {
    const auto at = text.find("\"fingerprint\": \"", from);
    return at == std::string::npos ? std::string{} : text.substr(at, 33);
  };
  EXPECT_EQ(print(once, 0), print(twice, 0)) << "the same in each run";
  EXPECT_NE(print(twice, 0), print(twice, twice.find("fingerprint") + 1)) << "and each once";
  PolicyFinding moved = kFault;
  moved.line = 9;
  EXPECT_EQ(print(to_code_quality({moved}), 0), print(once, 0)) << "wherever the line moves";
  EXPECT_EQ(to_code_quality({}), "[]\n");
}

TEST_F(Findings, NameFilesFromTheTopOfTheRepository) {
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(repository_path("./policy.yaml"), "policy.yaml");
  ::setenv("GITHUB_WORKSPACE", std::filesystem::path(here).parent_path().c_str(), 1);
  const std::string folder = std::filesystem::path(here).filename().string();
  EXPECT_EQ(repository_path("policy.yaml"), folder + "/policy.yaml");
  EXPECT_EQ(repository_path(here + "/policy.yaml"), folder + "/policy.yaml");
  EXPECT_EQ(repository_path("/elsewhere/policy.yaml"), "/elsewhere/policy.yaml");
}

TEST_F(Findings, TakeTheLineOutOfAWarning) {
  const auto warning = warning_finding("b.yaml:12: *.x covers y", {"a.yaml", "b.yaml"});
  EXPECT_EQ(warning.file, "b.yaml");
  EXPECT_EQ(warning.line, 12);
  EXPECT_EQ(warning.message, "*.x covers y");
  const auto whole = warning_finding("mode is observe", {"a.yaml", "b.yaml"});
  EXPECT_EQ(whole.file, "b.yaml") << "the layer that has the last word";
  EXPECT_EQ(whole.line, 0);
  EXPECT_EQ(whole.message, "mode is observe");
}

TEST_F(Findings, CountWhatWasNotKept) {
  policy::PolicyFaults faults;
  for (int i = 0; i < 25; ++i) faults.add({.file = "p.yaml", .line = i + 1, .column = 1, .what = "w", .text = "t"});
  std::vector<PolicyFinding> findings;
  add_findings(faults, findings);
  ASSERT_EQ(findings.size(), 21u);
  EXPECT_EQ(findings.back().message, "… and 5 more errors");
}

TEST_F(Findings, AreAnnotationsInAGitHubJob) {
  EXPECT_FALSE(in_github_job());
  ::setenv("GITHUB_ACTIONS", "false", 1);
  EXPECT_FALSE(in_github_job());
  ::setenv("GITHUB_ACTIONS", "true", 1);
  EXPECT_TRUE(in_github_job());
}

}  // namespace
}  // namespace soleroute::gateway::commands
