// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/job_summary.h"

#include <gtest/gtest.h>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): setenv is POSIX
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/temporary_folder.h"

namespace soleroute::gateway::commands {
namespace {

namespace fs = std::filesystem;

class JobSummaryFile : public ::testing::Test {
 protected:
  ~JobSummaryFile() override { ::unsetenv("GITHUB_STEP_SUMMARY"); }

  void name_it(const std::string& path) { ::setenv("GITHUB_STEP_SUMMARY", path.c_str(), 1); }
  [[nodiscard]] std::string path() const { return folder_.path("summary.md"); }
  [[nodiscard]] std::string text() const {
    std::ifstream file(path());
    return {std::istreambuf_iterator<char>(file), {}};
  }

  ::soleroute::testing::TemporaryFolder folder_;
};

TEST_F(JobSummaryFile, GetsWhatIsAppendedBehindWhatItHas) {
  std::ofstream(path()) << "earlier\n";
  name_it(path());
  append_job_summary("| a | b |\nlast line without end");
  EXPECT_EQ(text(), "earlier\n| a | b |\nlast line without end\n");
}

TEST_F(JobSummaryFile, IsNotWantedWhereNoVariableNamesIt) {
  ::unsetenv("GITHUB_STEP_SUMMARY");
  EXPECT_FALSE(JobSummary::from_environment().wanted());
  name_it("");
  EXPECT_FALSE(JobSummary::from_environment().wanted());
  name_it(path());
  EXPECT_TRUE(JobSummary::from_environment().wanted()) << "the control";
}

TEST_F(JobSummaryFile, ThatCannotBeWrittenIsAWarning) {
  for (const std::string& bad : {folder_.path(""), std::string("/dev/null"), std::string("/none/summary.md")}) {
    name_it(bad);
    ::testing::internal::CaptureStderr();
    append_job_summary("text");
    EXPECT_TRUE(::testing::internal::GetCapturedStderr().starts_with("gateway: warning: cannot ")) << bad;
  }
  ASSERT_EQ(::mkfifo((path() + ".fifo").c_str(), 0600), 0);
  name_it(path() + ".fifo");
  ::testing::internal::CaptureStderr();
  append_job_summary("text");
  EXPECT_NE(::testing::internal::GetCapturedStderr(), "") << "and does not wait for a reader";
}

TEST_F(JobSummaryFile, IsNeverReachedThroughALink) {
  fs::create_symlink(path(), path() + ".link");
  name_it(path() + ".link");
  ::testing::internal::CaptureStderr();
  append_job_summary("text");
  EXPECT_NE(::testing::internal::GetCapturedStderr(), "");
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(JobSummaryFile, IsBoundedAndHasNoControlCharacters) {
  name_it(path());
  std::string much = "esc \x1b[31m\n";
  for (int i = 0; i < 100'000; ++i) much += "0123456789\n";
  append_job_summary(much);
  EXPECT_LT(text().size(), kMaxJobSummary + 100);
  EXPECT_TRUE(text().starts_with("esc \\u{001b}[31m\n0123456789\n")) << text().substr(0, 40);
  EXPECT_TRUE(text().ends_with("0123456789\n\n… (the rest was cut)\n"));
}

TEST(Markdown, OfOthersTextIsOnlyText) {
  EXPECT_EQ(markdown_text("a b"), "a b");
  for (const char c : std::string("|<>&`*_[]@#")) {
    EXPECT_EQ(markdown_text(std::string(1, c)).find(c) == std::string::npos || c == '&' || c == '#', true) << c;
  }
  EXPECT_EQ(markdown_code("a|b"), "<code>a&#124;b</code>");
  EXPECT_EQ(markdown_text("x\ny").find('\n'), std::string::npos);
}

TEST(Markdown, ABlockEndsWhereItsTextEnds) {
  EXPECT_EQ(markdown_block("a: 1", "yaml"), "```yaml\na: 1\n```\n");
  EXPECT_EQ(markdown_block("```\n````", ""), "`````\n```\n````\n`````\n");
}

}  // namespace
}  // namespace soleroute::gateway::commands
