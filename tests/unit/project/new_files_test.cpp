// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/new_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace soleroute::gateway::project {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NewFiles : public ::testing::Test {
 protected:
  NewFiles() {
    std::string pattern = (fs::temp_directory_path() / "new-files-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~NewFiles() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string folder() const { return folder_.string(); }
  [[nodiscard]] std::string text(const std::string& path) const {
    std::ifstream in(folder_ / path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const std::string& path, const std::string& content) const {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << content;
  }
  [[nodiscard]] std::vector<std::string> everything() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      found.push_back(entry.path().lexically_relative(folder_).string());
    }
    std::ranges::sort(found);
    return found;
  }

  fs::path folder_;
  const std::vector<ProjectFile> files_{{".devcontainer/a", "A\n"}, {".devcontainer/b", "B\n"}, {".env", "C\n"}};
};

TEST_F(NewFiles, AreAllWritten) {
  ASSERT_TRUE(write_new_files(folder(), files_).has_value());
  EXPECT_THAT(everything(), ElementsAre(".devcontainer", ".devcontainer/a", ".devcontainer/b", ".env"));
  EXPECT_EQ(text(".devcontainer/b"), "B\n");
  EXPECT_EQ(text(".env"), "C\n");
}

TEST_F(NewFiles, StandBesideOthersInAFolder) {
  put(".devcontainer/mine", "mine\n");
  ASSERT_TRUE(write_new_files(folder(), files_).has_value());
  EXPECT_EQ(text(".devcontainer/mine"), "mine\n");
}

// The last of the three is in the way: what was written before it is gone again.
TEST_F(NewFiles, AreNoneWhereOneIsTaken) {
  put(".env", "mine\n");
  const auto written = write_new_files(folder(), files_);
  ASSERT_FALSE(written.has_value());
  EXPECT_THAT(written.error().message, HasSubstr(".env: File exists"));
  EXPECT_THAT(everything(), ElementsAre(".env"));
  EXPECT_EQ(text(".env"), "mine\n");
}

TEST_F(NewFiles, AreNotWrittenThroughALink) {
  put("elsewhere/x", "x\n");
  fs::create_directory_symlink("elsewhere", folder_ / ".devcontainer");
  const auto written = write_new_files(folder(), files_);
  ASSERT_FALSE(written.has_value());
  EXPECT_THAT(written.error().message, HasSubstr(".devcontainer is a file or a link, not a folder"));
  EXPECT_THAT(everything(), ElementsAre(".devcontainer", "elsewhere", "elsewhere/x"));
}

TEST_F(NewFiles, AreNotWrittenWhereAFileStandsForTheirFolder) {
  put(".devcontainer", "a file\n");
  EXPECT_FALSE(write_new_files(folder(), files_).has_value());
  EXPECT_EQ(text(".devcontainer"), "a file\n");
}

TEST_F(NewFiles, AreNoneWhereOneDoesNotFit) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 4, .rlim_max = before.rlim_max};
  auto files = files_;
  files[1].text = "more than four bytes\n";
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = write_new_files(folder(), files);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(written.has_value());
  EXPECT_THAT(written.error().message, HasSubstr(".devcontainer/b: File too large"));
  EXPECT_THAT(everything(), IsEmpty());
  // The control: the same files where they fit.
  EXPECT_TRUE(write_new_files(folder(), files).has_value());
}

TEST_F(NewFiles, TakeThePlaceOfOldOnesThatAreKept) {
  put(".devcontainer/a", "old\n");
  const std::vector<std::string> aside{".devcontainer/a"};
  ASSERT_TRUE(write_new_files(folder(), files_, aside).has_value());
  EXPECT_EQ(text(".devcontainer/a"), "A\n");
  EXPECT_EQ(text(".devcontainer/a.old"), "old\n");
}

// The last file is in the way: the old one is back where it was.
TEST_F(NewFiles, LeaveOldOnesWhereTheyWereIfOneFails) {
  put(".devcontainer/a", "old\n");
  put(".env", "mine\n");
  const std::vector<std::string> aside{".devcontainer/a"};
  EXPECT_FALSE(write_new_files(folder(), files_, aside).has_value());
  EXPECT_THAT(everything(), ElementsAre(".devcontainer", ".devcontainer/a", ".env"));
  EXPECT_EQ(text(".devcontainer/a"), "old\n");
}

TEST_F(NewFiles, TextIsReplacedWithOwnerAndMode) {
  put("one", "old\n");
  fs::permissions(folder_ / "one", fs::perms::owner_read | fs::perms::owner_write);
  ASSERT_TRUE(replace_text(folder() + "/one", "new\n").has_value());
  EXPECT_EQ(text("one"), "new\n");
  EXPECT_EQ(fs::status(folder_ / "one").permissions(), fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("one", folder_ / "link");
  EXPECT_FALSE(replace_text(folder() + "/link", "x\n").has_value());
  EXPECT_THAT(everything(), ElementsAre("link", "one"));
}

TEST_F(NewFiles, NameThePathsThatAreTaken) {
  EXPECT_THAT(taken_paths(folder(), files_), IsEmpty());
  put(".devcontainer/b", "mine\n");
  fs::create_symlink("nowhere", folder_ / ".env");
  EXPECT_THAT(taken_paths(folder(), files_), ElementsAre(".devcontainer/b", ".env"));
}

TEST_F(NewFiles, LinesAreAddedAfterALineEnd) {
  put("one", "A=1\n");
  put("two", "A=1");
  put("three", "");
  for (const char* name : {"one", "two"}) {
    ASSERT_TRUE(append_lines(folder() + "/" + name, "B=2\n").has_value());
    EXPECT_EQ(text(name), "A=1\nB=2\n");
  }
  ASSERT_TRUE(append_lines(folder() + "/three", "B=2\n").has_value());
  EXPECT_EQ(text("three"), "B=2\n");
}

TEST_F(NewFiles, LinesAreNotAddedThroughALink) {
  put("target", "A=1\n");
  fs::create_symlink("target", folder_ / "link");
  EXPECT_FALSE(append_lines(folder() + "/link", "B=2\n").has_value());
  EXPECT_EQ(text("target"), "A=1\n");
}

TEST_F(NewFiles, LinesThatDoNotFitLeaveTheFileAsItWas) {
  put("one", "A=1\n");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 6, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto added = append_lines(folder() + "/one", "B=2\n");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(added.has_value());
  EXPECT_EQ(text("one"), "A=1\n");
}

TEST_F(NewFiles, FoldersAreMadeWithThoseAboveThem) {
  ASSERT_TRUE(make_folders(folder(), "a/b/c").has_value());
  ASSERT_TRUE(make_folders(folder(), "a/b/d").has_value());
  EXPECT_TRUE(fs::is_directory(folder_ / "a/b/c") && fs::is_directory(folder_ / "a/b/d"));
  put("file", "");
  EXPECT_FALSE(make_folders(folder(), "file/x").has_value());
}

}  // namespace
}  // namespace soleroute::gateway::project
