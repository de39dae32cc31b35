// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/line_source.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gateway/audit/log_line.h"

namespace soleroute::gateway::commands {
namespace {

class LineSourceTest : public ::testing::Test {
 protected:
  LineSourceTest() : path_(::testing::TempDir() + "line_source_" + std::to_string(::getpid())) {}
  ~LineSourceTest() override { std::filesystem::remove(path_); }

  void write(const std::string& text, std::ios::openmode mode = std::ios::app) { std::ofstream(path_, mode) << text; }
  std::vector<std::string> all() {
    auto source = LineSource::open(path_, false);
    EXPECT_TRUE(source.has_value());
    std::vector<std::string> lines;
    while (auto line = source->next()) lines.push_back(*line);
    return lines;
  }

  std::string path_;
};

using Lines = std::vector<std::string>;

TEST_F(LineSourceTest, GivesEveryLineAlsoAnUnfinishedLast) {
  write("a\n\nbc\nd");
  EXPECT_EQ(all(), (Lines{"a", "", "bc", "d"}));
}

TEST_F(LineSourceTest, CutsWhatIsTooLongForALineAndGoesOnBehindIt) {
  write("a\n" + std::string(3 * audit::kMaxLogLine, 'x') + "\nb\n");
  EXPECT_EQ(all(), (Lines{"a", "b"}));
}

TEST_F(LineSourceTest, FollowsAFileThatGrows) {
  write("a\n");
  auto source = LineSource::open(path_, true);
  ASSERT_TRUE(source.has_value());
  EXPECT_EQ(source->next(), "a");
  write("b\n");
  EXPECT_EQ(source->next(), "b");
}

TEST_F(LineSourceTest, FollowsAFileThatIsCutShortOrReplaced) {
  write("a\nb\n");
  auto source = LineSource::open(path_, true);
  ASSERT_TRUE(source.has_value());
  EXPECT_EQ(source->next(), "a");
  EXPECT_EQ(source->next(), "b");
  write("c\n", std::ios::trunc);
  EXPECT_EQ(source->next(), "c");
  std::filesystem::remove(path_);
  write("d\n");
  EXPECT_EQ(source->next(), "d");
}

TEST_F(LineSourceTest, NamesWhatCannotBeOpened) {
  const auto source = LineSource::open("/nonexistent/log", true);
  ASSERT_FALSE(source.has_value());
  EXPECT_NE(source.error().message.find("/nonexistent/log"), std::string::npos);
}

}  // namespace
}  // namespace soleroute::gateway::commands
