// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/file_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "gateway/host/path_trail.h"

namespace soleroute::gateway::host {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr FileWatch::Pace kQuick{
    .period = 60s, .pause = 5ms, .quiet = 20ms, .long_quiet = 40ms, .patience = 200ms, .open_for = 100ms};
// No event is waited for: the looks alone.
constexpr FileWatch::Pace kLooking{
    .period = 20ms, .pause = 5ms, .quiet = 20ms, .long_quiet = 20ms, .patience = 200ms, .open_for = 100ms};

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() {
    std::string name = (fs::temp_directory_path() / "file-watch-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~FileWatchTest() override { fs::remove_all(folder_); }

  std::string path(std::string_view name) const { return (folder_ / name).string(); }
  void write(std::string_view name, std::string_view text) const { std::ofstream(path(name)) << text; }

  // Runs until `changed` was called once more, with the time that this may take.
  void expect_told(const std::function<void()>& change) {
    change();
    const int before = told_;
    while (told_ == before && io_.run_one_for(5s) > 0) {
    }
    EXPECT_EQ(told_, before + 1);
  }
  void expect_nothing_for(std::chrono::milliseconds time) {
    const int before = told_;
    io_.run_for(time);
    EXPECT_EQ(told_, before);
  }
  FileWatch::Calls calls() {
    return {[this] { ++told_; }, [this](const std::string& which) { open_.push_back(which); }};
  }

  boost::asio::io_context io_;
  fs::path folder_;
  int told_ = 0;
  std::vector<std::string> open_;
};

TEST_F(FileWatchTest, TellsOfEachWayInWhichAFileGetsNewContent) {
  write("policy.yaml", "a");
  FileWatch watch(io_, {path("policy.yaml")}, calls(), kQuick);
  expect_told([&] { ASSERT_TRUE(watch.start()); });
  expect_nothing_for(60ms);
  expect_told([&] { write("policy.yaml", "in place"); });
  expect_told([&] {
    write("new", "renamed to its name");
    fs::rename(path("new"), path("policy.yaml"));
  });
  expect_told([&] {  // an editor keeps the old file under another name
    fs::rename(path("policy.yaml"), path("policy.yaml~"));
    write("policy.yaml", "a new file");
  });
  expect_told([&] { fs::remove(path("policy.yaml")); });
  expect_told([&] { write("policy.yaml", "it is there again"); });
  write("other.yaml", "another file of the folder");
  expect_nothing_for(60ms);
}

TEST_F(FileWatchTest, TellsOfALinkOnTheWayThatLeadsElsewhere) {
  // As Kubernetes mounts a ConfigMap.
  for (const char* name : {"..1", "..2"}) {
    fs::create_directory(path(name));
    write(std::string(name) + "/policy.yaml", name);
  }
  fs::create_symlink("..1", path("..data"));
  fs::create_symlink("..data/policy.yaml", path("policy.yaml"));
  FileWatch watch(io_, {path("policy.yaml")}, calls(), kQuick);
  expect_told([&] { ASSERT_TRUE(watch.start()); });
  expect_told([&] {
    fs::create_symlink("..2", path("..data_tmp"));
    fs::rename(path("..data_tmp"), path("..data"));
    fs::remove_all(path("..1"));
  });
  expect_told([&] { write("..2/policy.yaml", "the new folder is watched"); });
}

TEST_F(FileWatchTest, DoesNotTellOfAFileWhileAProgramHasItOpenAfterWriting) {
  write("policy.yaml", "a");
  FileWatch watch(io_, {path("policy.yaml")}, calls(), kQuick);
  expect_told([&] { ASSERT_TRUE(watch.start()); });
  for (const bool fresh : {false, true}) {
    if (fresh) fs::remove(path("policy.yaml"));
    base::Fd writer(::open(path("policy.yaml").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_TRUE(writer);
    if (!fresh) {
      ASSERT_EQ(::write(writer.get(), "half", 4), 4);
    }
    expect_nothing_for(250ms);
    EXPECT_EQ(open_, std::vector(fresh ? 2 : 1, path("policy.yaml"))) << "each time it is said once";
    expect_told([&] {
      ASSERT_EQ(::write(writer.get(), "whole", 5), 5);
      writer = {};
    });
  }
}

TEST_F(FileWatchTest, TellsNowAndThenWhileChangesDoNotEnd) {
  write("policy.yaml", "a");
  FileWatch watch(io_, {path("policy.yaml")}, calls(), kQuick);
  expect_told([&] { ASSERT_TRUE(watch.start()); });
  const int before = told_;
  const auto end = std::chrono::steady_clock::now() + 1s;
  for (int i = 0; std::chrono::steady_clock::now() < end; ++i) {
    write("new", std::to_string(i));
    fs::rename(path("new"), path("policy.yaml"));
    io_.run_for(5ms);
  }
  EXPECT_GE(told_ - before, 2) << "the patience is 200 ms";
  EXPECT_LE(told_ - before, 50) << "and the quiet 20 ms";
}

TEST_F(FileWatchTest, FindsAChangeByLookingWhereNoEventArrives) {
  write("policy.yaml", "a");
  FileWatch watch(io_, {path("policy.yaml"), path("missing.yaml")}, calls(), kLooking);
  expect_told([&] { watch.start_without_events(); });
  expect_nothing_for(100ms);
  expect_told([&] { write("policy.yaml", "in place"); });
  expect_told([&] { write("missing.yaml", "it is there now"); });
}

TEST_F(FileWatchTest, CallsNothingOnceItIsCancelled) {
  write("policy.yaml", "a");
  FileWatch watch(io_, {path("policy.yaml")}, calls(), kQuick);
  expect_told([&] { ASSERT_TRUE(watch.start()); });
  watch.cancel();
  write("policy.yaml", "in place");
  expect_nothing_for(60ms);
}

TEST_F(FileWatchTest, TheTrailOfAPathHasTheFoldersOfItsLinks) {
  const std::string real = fs::canonical(folder_).string();
  fs::create_directories(path("release/deep"));
  fs::create_symlink("release", path("current"));
  fs::create_symlink("../deep/../deep/b.yaml", path("release/deep/a.yaml"));
  const auto trail = path_trail(path("current/deep/a.yaml"));
  EXPECT_TRUE(trail.folders.contains(real)) << "of the link 'current'";
  EXPECT_TRUE(trail.folders.contains(real + "/release/deep"));
  EXPECT_EQ(trail.folder, real + "/release/deep");
  EXPECT_EQ(trail.name, "b.yaml");
  fs::create_symlink("loop", path("loop"));
  EXPECT_EQ(path_trail(path("loop/a.yaml")).folder, "") << "a loop ends";
}

}  // namespace
}  // namespace soleroute::gateway::host
