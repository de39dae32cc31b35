// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/policy_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/text.h"

namespace soleroute::gateway::host {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class PolicyFiles : public ::testing::Test {
 protected:
  PolicyFiles() {
    std::string name = (fs::temp_directory_path() / "policy_files_XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~PolicyFiles() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    fs::create_directories((directory_ / name).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  // The error for `path`, after showing that an ordinary file beside it is read.
  base::Error refused(const std::string& odd) const {
    EXPECT_TRUE(read_policy_file(write("control.yaml", "domains: []\n")).has_value());
    auto result = read_policy_file(odd);
    EXPECT_FALSE(result.has_value());
    if (result.has_value()) return {};
    EXPECT_EQ(result.error().kind, base::ErrorKind::kUsage);
    EXPECT_THAT(result.error().message, HasSubstr(base::shown(odd)));
    return result.error();
  }

  fs::path directory_;
};

TEST_F(PolicyFiles, ReadsTheWholeTextAndKeepsTheNameAsGiven) {
  const std::string text = "domains:\n  - example.com\n" + std::string(100'000, '#') + "\n";
  const auto source = read_policy_file(write("a b.yaml", text));
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_EQ(source->name, path("a b.yaml"));
  EXPECT_EQ(source->text, text);
}

TEST_F(PolicyFiles, ReadsAFileOfExactlyTheBoundAndRefusesOneByteMore) {
  EXPECT_TRUE(read_policy_file(write("bound.yaml", std::string(kMaxPolicyFile, '#'))).has_value());
  EXPECT_THAT(refused(write("over.yaml", std::string(kMaxPolicyFile + 1, '#'))).message, HasSubstr("larger than"));
}

TEST_F(PolicyFiles, RefusesASparseGiantWithoutReadingIt) {
  const std::string giant = write("giant.yaml", "");
  fs::resize_file(giant, 1ULL << 30);
  EXPECT_THAT(refused(giant).message, HasSubstr("larger than"));
}

TEST_F(PolicyFiles, ReadsFilesThatDoNotSayTheirSize) {
  const auto text = read_small_file("/proc/self/status", kMaxPolicyFile);  // st_size is 0
  ASSERT_TRUE(text.has_value()) << text.error().message;
  EXPECT_THAT(*text, HasSubstr("Pid:"));
  EXPECT_FALSE(read_small_file("/proc/self/status", 10).has_value());
}

TEST_F(PolicyFiles, RefusesAFifoAtOnceEvenIfNobodyWrites) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_THAT(refused(path("fifo")).message, HasSubstr("FIFO"));
}

TEST_F(PolicyFiles, RefusesWhatIsNotAnOrdinaryFile) {
  EXPECT_THAT(refused("/dev/null").message, HasSubstr("device"));
  EXPECT_THAT(refused("/dev/zero").message, HasSubstr("device"));
  EXPECT_THAT(refused(directory_.string()).message, HasSubstr("directory"));
}

TEST_F(PolicyFiles, RefusesASocket) {
  const base::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path("socket").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(refused(path("socket")).message, HasSubstr("socket"));
}

TEST_F(PolicyFiles, SaysPathAndReasonWhereOpeningFails) {
  EXPECT_EQ(refused(path("absent.yaml")).sys_errno, ENOENT);
  EXPECT_EQ(refused(path("no/such/parent.yaml")).sys_errno, ENOENT);
  EXPECT_EQ(refused(write("file", "") + "/below.yaml").sys_errno, ENOTDIR);
  ASSERT_EQ(::symlink("loop", path("loop").c_str()), 0);
  EXPECT_EQ(refused(path("loop")).sys_errno, ELOOP);
  EXPECT_THAT(refused(path("absent.yaml")).message, HasSubstr("No such file"));
}

TEST_F(PolicyFiles, KeepsAnErrorOnOneLineWhateverThePath) {
  const auto error = refused(path("two\nlines\x1b[31m.yaml"));
  EXPECT_THAT(error.message, Not(HasSubstr("\n")));
  EXPECT_THAT(error.message, HasSubstr("two\\u{000a}lines\\u{001b}[31m.yaml"));
}

TEST_F(PolicyFiles, RefusesAnEmptyNameAndANulInOne) {
  EXPECT_FALSE(read_policy_file("").has_value());
  EXPECT_FALSE(read_policy_file(write("a.yaml", "") + std::string(1, '\0') + "b").has_value());
}

// A mounted ConfigMap: policy.yaml -> ..data/policy.yaml, ..data -> a directory that is swapped by rename(2).
TEST_F(PolicyFiles, FollowsLinksAndEverySwapGivesOneWholeVersion) {
  const std::string a = "# a\n" + std::string(60'000, 'a');
  const std::string b = "# b\n" + std::string(60'000, 'b');
  write("v1/policy.yaml", a);
  write("v2/policy.yaml", b);
  ASSERT_EQ(::symlink("v1", path("..data").c_str()), 0);
  ASSERT_EQ(::symlink("..data/policy.yaml", path("policy.yaml").c_str()), 0);
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    for (int i = 0; !done; ++i) {
      if (::symlink(i % 2 == 0 ? "v2" : "v1", path("next").c_str()) != 0) break;
      fs::rename(path("next"), path("..data"));
    }
  });
  bool seen_a = false;
  bool seen_b = false;
  bool other = false;
  for (int i = 0; i < 20'000 && !other && !(i > 500 && seen_a && seen_b); ++i) {
    const auto source = read_policy_file(path("policy.yaml"));
    const bool is_a = source.has_value() && source->text == a;
    const bool is_b = source.has_value() && source->text == b;
    seen_a |= is_a;
    seen_b |= is_b;
    other = !is_a && !is_b;
  }
  done = true;
  swapper.join();
  EXPECT_FALSE(other) << "something that is neither version was read";
  EXPECT_TRUE(seen_a);
  EXPECT_TRUE(seen_b);
}

TEST_F(PolicyFiles, AreSaidUnlessTheCommandLineNamesThem) {
  const auto notice = [](PolicyChoice choice) { return policy_notice(choice); };
  EXPECT_EQ(notice({.files = {"a.yaml"}}), "");
  EXPECT_EQ(notice({.files = {"policy.yaml"}, .guessed = true}), "gateway: policy: policy.yaml\n");
  EXPECT_EQ(notice({.guessed = true}),
            "gateway: warning: no policy file found (.devcontainer/policy.yaml, policy.yaml): all network access is "
            "blocked\n");
  EXPECT_EQ(notice({.files = {".devcontainer/policy.yaml"}, .guessed = true, .second = true}),
            "gateway: policy: .devcontainer/policy.yaml\n"
            "gateway: warning: policy.yaml is not used because .devcontainer/policy.yaml exists; pass --policy to "
            "choose\n");
  ::setenv("GATEWAY_POLICY", "a.yaml,b.yaml", 1);
  EXPECT_EQ(notice({.files = {"a.yaml", "b.yaml"}}), "gateway: policy: a.yaml, b.yaml\n");
  EXPECT_EQ(notice({.files = {"b.yaml"}}), "") << "another one than the variable's";
  ::unsetenv("GATEWAY_POLICY");
}

TEST_F(PolicyFiles, WaitsUntilAFileIsNoLongerWritten) {
  const auto fresh = write("fresh.yaml", "domains: []");
  EXPECT_EQ(read_settled_file(fresh, 100), "domains: []");
  struct stat status{};
  ASSERT_EQ(::stat(fresh.c_str(), &status), 0);
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const auto age_ms = (now.tv_sec - status.st_mtim.tv_sec) * 1000 + (now.tv_nsec - status.st_mtim.tv_nsec) / 1'000'000;
  EXPECT_GE(age_ms, 49);
  const auto absent = read_settled_file(path("absent.yaml"), 100);
  ASSERT_FALSE(absent.has_value());
  EXPECT_THAT(absent.error().message, HasSubstr("cannot open "));
}

TEST_F(PolicyFiles, RefusesAFileThatKeepsChanging) {
  const auto busy = write("busy.yaml", "domains: []");
  std::atomic<bool> done = false;
  std::thread writer([&] {
    while (!done) {
      const timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
      ::utimensat(AT_FDCWD, busy.c_str(), times, 0);
      std::this_thread::yield();
    }
  });
  const auto settled = read_settled_file(busy, 100);
  done = true;
  writer.join();
  ASSERT_FALSE(settled.has_value());
  EXPECT_THAT(settled.error().message, HasSubstr("keeps changing"));
}

TEST_F(PolicyFiles, ReadsOneOfManyFilesThatAreRenamedToThePathOneAfterAnother) {
  const auto target = write("policy.yaml", "domains: []");
  std::atomic<bool> done = false;
  std::thread writer([&] {
    while (!done) {
      const auto fresh = write("policy.new", "domains: []");
      std::filesystem::rename(fresh, target);
      std::this_thread::yield();
    }
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto text = read_settled_file(target, 100);
  const auto took = std::chrono::steady_clock::now() - begin;
  done = true;
  writer.join();
  ASSERT_TRUE(text.has_value()) << text.error().message;
  EXPECT_EQ(*text, "domains: []");
  EXPECT_LT(took, std::chrono::milliseconds(900)) << "the path always was younger than 50 ms, the open file was not";
}

TEST_F(PolicyFiles, ReadsLayersInOrderOrSaysWhichFailed) {
  const std::vector<std::string> both{write("1.yaml", "one"), write("2.yaml", "two")};
  const auto sources = read_policy_files(both);
  ASSERT_TRUE(sources.has_value());
  ASSERT_EQ(sources->size(), 2U);
  EXPECT_EQ((*sources)[0].text, "one");
  EXPECT_EQ((*sources)[1].text, "two");
  const std::vector<std::string> broken{both[0], path("absent.yaml")};
  const auto failed = read_policy_files(broken);
  ASSERT_FALSE(failed.has_value());
  EXPECT_THAT(failed.error().message, HasSubstr("absent.yaml"));
  EXPECT_TRUE(read_policy_files({}).value().empty());
}

TEST_F(PolicyFiles, FindsTheDefaultPolicyInTheStatedOrder) {
  EXPECT_EQ(find_default_policy(directory_.string()), std::nullopt);
  write("policy.yaml", "");
  EXPECT_EQ(find_default_policy(directory_.string()), path("policy.yaml"));
  write(".devcontainer/policy.yaml", "");
  EXPECT_EQ(find_default_policy(directory_.string()), path(".devcontainer/policy.yaml"));
}

TEST_F(PolicyFiles, TakesADanglingDefaultForAPolicyThatCannotBeRead) {
  write("policy.yaml", "");
  fs::create_directories(directory_ / ".devcontainer");
  ASSERT_EQ(::symlink("absent", path(".devcontainer/policy.yaml").c_str()), 0);
  const auto found = find_default_policy(directory_.string());
  ASSERT_EQ(found, path(".devcontainer/policy.yaml"));
  EXPECT_FALSE(read_policy_file(*found).has_value());
}

}  // namespace
}  // namespace soleroute::gateway::host
