// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/socket_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace soleroute::gateway::jail {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(PathsIn, AreFoundInWhatVariablesSay) {
  struct Row {
    const char* value;
    const char* expected;
  };
  for (const Row& row : {
           Row{"/run/a.sock", "/run/a.sock"},
           Row{"unix:///run/docker.sock", "///run/docker.sock"},
           Row{"http+unix://%2Frun%2Fdocker.sock", "///run/docker.sock"},
           Row{"/run/S.gpg-agent:123:1", "/run/S.gpg-agent"},
           Row{"/tmp/tmux-1000/default,123,0", "/tmp/tmux-1000/default"},
           Row{"unix:abstract=x;unix:path=/run/user/1000/bus,guid=0", "/run/user/1000/bus"},
           Row{"unix:path=/run/a%20b", "/run/a b"},
           Row{"[\"/tmp/a.sock\",\"/tmp/b.sock\"]", "/tmp/b.sock"},
           Row{"/srv/a b:c,d", "/srv/a b:c,d"},
           Row{"unix:/srv/a b", "/srv/a b"},
       }) {
    EXPECT_THAT(paths_in(row.value), Contains(row.expected)) << row.value;
  }
}

TEST(PathsIn, AreNoneInOtherText) {
  for (const char* value : {"", "a", "tcp://127.0.0.1:2375", ":0", "unix:abstract=x", "a/b", "%2"}) {
    for (const std::string& path : paths_in(value)) EXPECT_EQ(path.find("//127"), 0U) << value;
  }
}

TEST(SocketPlaces, AreVariablesMountsAndTheUsualFolders) {
  const std::vector<base::Mount> mounts{{"1:0", "/", "/", "ext4", ""},
                                        {"2:0", "/docker.sock", "/w/docker.sock", "tmpfs", ""},
                                        {"3:0", "/", "/net", "autofs", "indirect"}};
  const std::vector<std::string> environment{"SSH_AUTH_SOCK=/a/agent", "XDG_RUNTIME_DIR=/b", "HOME=/c", "ODD"};
  const SocketPlaces places = socket_places(environment, mounts, "/h/me", 1000);
  EXPECT_THAT(places.paths, Contains("/a/agent"));
  EXPECT_THAT(places.paths, Contains("/w/docker.sock"));
  EXPECT_THAT(places.paths, Not(Contains("/net")));
  for (const char* folder : {"/b", "/run", "/tmp", "/run/user/1000", "/h/me/.gnupg", "/w/docker.sock/run"}) {
    EXPECT_THAT(places.folders, Contains(::testing::Field(&SearchedFolder::path, folder)));
  }
  for (const char* folder : {"/net", "/c", "/", ""}) {
    EXPECT_THAT(places.folders, Not(Contains(::testing::Field(&SearchedFolder::path, folder)))) << folder;
  }
}

TEST(MayHoldSockets, IsFalseForFileSystemsThatALookCouldWakeOrWaitFor) {
  for (const char* type : {"autofs", "proc", "sysfs", "nfs", "nfs4", "cifs", "fuse", "fuse.sshfs", "squashfs"}) {
    EXPECT_FALSE(may_hold_sockets({"", "", "", type, ""})) << type;
  }
  for (const char* type : {"ext4", "tmpfs", "overlay", "btrfs", "devtmpfs", "9p", "virtiofs", "fuseblk", ""}) {
    EXPECT_TRUE(may_hold_sockets({"", "", "", type, ""})) << type;
  }
}

}  // namespace
}  // namespace soleroute::gateway::jail
