// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/socket_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/support/temporary_folder.h"

namespace soleroute::gateway::jail {
namespace {

using soleroute::testing::TemporaryFolder;

using ::testing::ElementsAre;
using ::testing::IsEmpty;

base::Fd bound_at(const std::string& path, int type) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  base::Fd made(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return made;
}

TEST(LiveSocket, IsOneThatSomeProcessHasBound) {
  const TemporaryFolder folder;
  for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    const std::string path = folder.path("s" + std::to_string(type));
    base::Fd bound = bound_at(path, type);
    EXPECT_TRUE(is_live_socket(path)) << type;
    bound.reset();
    EXPECT_FALSE(is_live_socket(path)) << type;
  }
  EXPECT_FALSE(is_live_socket(folder.write("file", "x")));
  EXPECT_FALSE(is_live_socket(folder.path("absent")));
  EXPECT_FALSE(is_live_socket(folder.path("")));
}

TEST(FindLiveSockets, SearchesAsDeepAsIsAskedFor) {
  const TemporaryFolder folder;
  const base::Fd top = bound_at(folder.path("top"), SOCK_STREAM);
  const base::Fd deep = bound_at(folder.path("a/b/deep"), SOCK_STREAM);
  std::filesystem::create_directory_symlink("a", folder.path("link"));
  const std::string root = folder.path("");
  EXPECT_THAT(find_live_sockets({.folders = {{root, 2}}, .paths = {}}, {}).live, ElementsAre(folder.path("top")));
  EXPECT_THAT(find_live_sockets({.folders = {{root, 3}}, .paths = {}}, {}).live,
              ElementsAre(folder.path("a/b/deep"), folder.path("top")));
  EXPECT_THAT(
      find_live_sockets({.folders = {{folder.path("link/b"), 1}}, .paths = {folder.path("link/b/deep")}}, {}).live,
      ElementsAre(folder.path("a/b/deep")));
  EXPECT_THAT(find_live_sockets({.folders = {{folder.path("absent"), 3}}, .paths = {root}}, {}).live, IsEmpty());
}

TEST(FindLiveSockets, StaysOutOfFileSystemsThatMustNotBeLookedAt) {
  const TemporaryFolder folder;
  const base::Fd inner = bound_at(folder.path("net/host/s"), SOCK_STREAM);
  const std::vector<base::Mount> mounts{{"1:0", "/", folder.path("net"), "autofs", "indirect"}};
  const SocketPlaces places{.folders = {{folder.path(""), 4}, {folder.path("net"), 2}},
                            .paths = {folder.path("net/host/s")}};
  EXPECT_THAT(find_live_sockets(places, mounts).live, IsEmpty());
  EXPECT_THAT(find_live_sockets(places, {}).live, ElementsAre(folder.path("net/host/s")));
}

TEST(FindLiveSockets, LooksAtNoMoreThanItsBoundAndSaysSo) {
  const TemporaryFolder folder;
  for (const char* name : {"d1", "d2", "d3"}) folder.write(std::string(name) + "/file", "");
  const base::Fd deep = bound_at(folder.path("d1/s"), SOCK_STREAM);
  SocketPlaces places{.folders = {{folder.path("d1"), 1}, {folder.path(""), 2}},
                      .paths = {},
                      .uid = ::getuid(),
                      .bounds = {.others = 0, .own = 3}};
  EXPECT_THAT(find_live_sockets(places, {}).cut, IsEmpty()) << "three folders; what was searched before costs nothing";
  places.folders.erase(places.folders.begin());
  const FoundSockets cut = find_live_sockets(places, {});
  EXPECT_THAT(cut.cut, ElementsAre(std::filesystem::canonical(folder.path("")).string()));
  places.bounds.own = 4;
  const FoundSockets found = find_live_sockets(places, {});
  EXPECT_THAT(found.live, ElementsAre(folder.path("d1/s")));
  EXPECT_THAT(found.cut, IsEmpty());
}

TEST(FindLiveSockets, CountsNoPlainFiles) {
  const TemporaryFolder folder;
  for (int i = 0; i < 100; ++i) folder.write(std::to_string(i), "");
  const base::Fd deep = bound_at(folder.path("d/s"), SOCK_STREAM);
  const SocketPlaces places{
      .folders = {{folder.path(""), 2}}, .paths = {}, .uid = ::getuid(), .bounds = {.others = 0, .own = 2}};
  EXPECT_THAT(find_live_sockets(places, {}).live, ElementsAre(folder.path("d/s")));
}

TEST(FindLiveSockets, KeepsABoundForWhatIsNotTheCommands) {
  const TemporaryFolder folder;
  for (const char* name : {"d1", "d2", "d3"}) folder.write(std::string(name) + "/file", "");
  const base::Fd deep = bound_at(folder.path("d1/s"), SOCK_STREAM);
  SocketPlaces places{
      .folders = {{folder.path(""), 2}}, .paths = {}, .uid = ::getuid() + 1, .bounds = {.others = 4, .own = 0}};
  EXPECT_THAT(find_live_sockets(places, {}).live, ElementsAre(folder.path("d1/s")));
  places.bounds.others = 3;
  EXPECT_FALSE(find_live_sockets(places, {}).cut.empty());
}

TEST(OtherPaths, AreThoseOfTheSameFile) {
  const TemporaryFolder folder;
  const base::Fd socket = bound_at(folder.path("a/s"), SOCK_STREAM);
  std::filesystem::create_directory_symlink("a", folder.path("b"));
  const base::Fd other = bound_at(folder.path("c/s"), SOCK_STREAM);
  const std::vector<base::Mount> mounts{{"1:0", "/x", folder.path("a"), "", ""},
                                        {"1:0", "/x", folder.path("b"), "", ""},
                                        {"1:0", "/x", folder.path("c"), "", ""}};
  EXPECT_THAT(with_other_paths({folder.path("a/s")}, mounts), ElementsAre(folder.path("a/s"), folder.path("b/s")));
}

}  // namespace
}  // namespace soleroute::gateway::jail
