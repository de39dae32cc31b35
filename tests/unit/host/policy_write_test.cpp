// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/policy_write.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace soleroute::gateway::host {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class PolicyWrite : public ::testing::Test {
 protected:
  PolicyWrite() {
    std::string name = (fs::temp_directory_path() / "policy_write_XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~PolicyWrite() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  static std::string text_of(const std::string& file) {
    std::ostringstream out;
    out << std::ifstream(file, std::ios::binary).rdbuf();
    return out.str();
  }
  static struct stat status_of(const std::string& file) {
    struct stat status{};
    EXPECT_EQ(::stat(file.c_str(), &status), 0) << file;
    return status;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory_), fs::directory_iterator{}));
  }

  fs::path directory_;
};

TEST_F(PolicyWrite, PutsANewFileInTheOldOnesPlaceWithItsModeAndOwner) {
  const auto file = write("policy.yaml", "old\n");
  ASSERT_EQ(::chmod(file.c_str(), 0640), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(file.c_str(), 12345, 23456), 0);
  }
  const auto before = status_of(file);
  const auto written = replace_policy_file(file, "old\n", "new text\n");
  ASSERT_TRUE(written.has_value()) << written.error().message;
  const auto after = status_of(file);
  EXPECT_EQ(text_of(file), "new text\n");
  EXPECT_NE(after.st_ino, before.st_ino) << "a reader of the old file still has the whole old text";
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_EQ(after.st_uid, before.st_uid);
  EXPECT_EQ(after.st_gid, before.st_gid);
  EXPECT_EQ(files(), 1U) << "nothing is left beside it";
}

// T266
TEST_F(PolicyWrite, RefusesAFileThatChangedSinceItWasRead) {
  for (const std::string now : {"old!\n", "OLD\n", ""}) {
    const auto file = write("policy.yaml", now);
    const auto written = replace_policy_file(file, "old\n", "new\n");
    ASSERT_FALSE(written.has_value()) << now;
    EXPECT_THAT(written.error().message, HasSubstr("was changed meanwhile; nothing was written"));
    EXPECT_EQ(text_of(file), now);
  }
  EXPECT_EQ(files(), 1U);
}

TEST_F(PolicyWrite, FollowsALinkToTheFile) {
  const auto file = write("real.yaml", "old\n");
  fs::create_symlink("real.yaml", path("policy.yaml"));
  const auto written = replace_policy_file(path("policy.yaml"), "old\n", "new\n");
  ASSERT_TRUE(written.has_value()) << written.error().message;
  EXPECT_TRUE(fs::is_symlink(path("policy.yaml")));
  EXPECT_EQ(text_of(file), "new\n");
}

TEST_F(PolicyWrite, CreatesAFileThatDoesNotExistOnlyWhereNothingWasRead) {
  const auto written = replace_policy_file(path("policy.yaml"), "", "new\n");
  ASSERT_TRUE(written.has_value()) << written.error().message;
  EXPECT_EQ(text_of(path("policy.yaml")), "new\n");
  EXPECT_EQ(status_of(path("policy.yaml")).st_mode & 0777U, 0644U);
  EXPECT_FALSE(replace_policy_file(path("gone.yaml"), "old\n", "new\n").has_value());
  EXPECT_FALSE(replace_policy_file(path("no/such/policy.yaml"), "", "new\n").has_value());
  fs::create_symlink("nowhere.yaml", path("dangling.yaml"));
  EXPECT_FALSE(replace_policy_file(path("dangling.yaml"), "", "new\n").has_value());
  EXPECT_FALSE(fs::exists(path("nowhere.yaml")));
}

TEST_F(PolicyWrite, RefusesWhatIsNotAFile) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_FALSE(replace_policy_file(path("pipe"), "", "new\n").has_value());
  fs::create_directory(path("folder"));
  EXPECT_FALSE(replace_policy_file(path("folder"), "", "new\n").has_value());
}

// In a child, because mounts are of a whole process: 0 if the file was written in place, and is the same file.
int write_over_a_mount(const std::string& file) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
  if (::mount(file.c_str(), file.c_str(), nullptr, MS_BIND, nullptr) != 0) return 77;
  struct stat before{};
  struct stat after{};
  if (::stat(file.c_str(), &before) != 0) return 1;
  if (!replace_policy_file(file, "a longer old text\n", "new\n")) return 2;
  return ::stat(file.c_str(), &after) == 0 && before.st_ino == after.st_ino && after.st_size == 4 ? 0 : 3;
}

TEST_F(PolicyWrite, WritesAFileThatIsMountedAloneInPlace) {
  const auto file = write("policy.yaml", "a longer old text\n");
  const pid_t child = ::fork();
  if (child == 0) ::_exit(write_over_a_mount(file));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "cannot mount here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(text_of(file), "new\n");
  EXPECT_EQ(files(), 1U);
}

}  // namespace
}  // namespace soleroute::gateway::host
