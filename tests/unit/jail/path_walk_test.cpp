// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/path_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace soleroute::gateway::jail {
namespace {

using soleroute::testing::TemporaryFolder;

using ::testing::ElementsAre;

// "folder:name" for each step below `top`, the kind as its first letter: "D", "L", "F", "-".
std::vector<std::string> steps_of(const std::string& path, const TemporaryFolder& top) {
  const std::string start = std::filesystem::canonical(top.path("")).string();
  const auto steps = walk_path(path, start);
  if (!steps) return {steps.error().message};
  std::vector<std::string> shown;
  for (const Step& step : *steps) {
    if (!step.folder.starts_with(start)) continue;
    constexpr std::array kLetters{'D', 'L', 'F', '-'};
    shown.push_back(kLetters.at(static_cast<std::size_t>(step.kind)) + step.path.substr(start.size()));
  }
  return shown;
}

TEST(PathWalk, TakesEachNameInTurn) {
  const TemporaryFolder folder;
  folder.write("a/b/file", "");
  EXPECT_THAT(steps_of("a/b/file", folder), ElementsAre("D/a", "D/a/b", "F/a/b/file"));
  EXPECT_THAT(steps_of("./a//b/../b/./file", folder), ElementsAre("D/a", "D/a/b", "D/a/b", "F/a/b/file"));
  EXPECT_THAT(steps_of(folder.path("a/b"), folder), ElementsAre("D/a", "D/a/b"));
  EXPECT_THAT(steps_of("", folder), ElementsAre());
}

TEST(PathWalk, FollowsLinksAndTellsOfThem) {
  const TemporaryFolder folder;
  folder.write("a/b/file", "");
  std::filesystem::create_directory_symlink("a", folder.path("relative"));
  std::filesystem::create_symlink(folder.path("relative/b/file"), folder.path("absolute"));
  EXPECT_THAT(steps_of("relative/b", folder), ElementsAre("L/relative", "D/a", "D/a/b"));
  EXPECT_THAT(steps_of("absolute", folder), ElementsAre("L/absolute", "L/relative", "D/a", "D/a/b", "F/a/b/file"));
}

TEST(PathWalk, EndsWhereThereIsNothingMore) {
  const TemporaryFolder folder;
  folder.write("file", "");
  EXPECT_THAT(steps_of("absent/x", folder), ElementsAre("-/absent"));
  EXPECT_THAT(steps_of("file/x", folder), ElementsAre("F/file"));
}

TEST(PathWalk, RefusesALoop) {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("two", folder.path("one"));
  std::filesystem::create_symlink("one", folder.path("two"));
  const auto steps = walk_path("one", folder.path(""));
  ASSERT_FALSE(steps.has_value());
  EXPECT_EQ(steps.error().kind, base::ErrorKind::kUsage);
}

TEST(PathWalk, EndsAtADescriptorThatHasNoPath) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const auto steps = walk_path("/dev/fd/" + std::to_string(ends[0]), "/");
  ASSERT_TRUE(steps.has_value());
  EXPECT_EQ(steps->back().kind, StepKind::kOther);
  EXPECT_TRUE(S_ISFIFO(steps->back().facts.st_mode));
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace soleroute::gateway::jail
