// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/mount_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace soleroute::base {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(MountInfo, IsReadFieldByField) {
  const auto mounts = parse_mount_info(
      "27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard\n"
      "43 27 0:53 /a\\040b /mnt/a\\040\\134b ro - autofs systemd-1 rw,fd=29,direct\n");
  EXPECT_THAT(mounts, ElementsAre(Mount{"254:0", "/", "/", "ext4", "rw,discard"},
                                  Mount{"0:53", "/a b", "/mnt/a \\b", "autofs", "rw,fd=29,direct"}));
}

TEST(MountInfo, LeavesOutLinesThatAreNone) {
  EXPECT_THAT(parse_mount_info(""), IsEmpty());
  EXPECT_THAT(parse_mount_info("\n\nnonsense\n1 2 3:4 /root\n"), IsEmpty());
  EXPECT_THAT(parse_mount_info("1 2 3:4 /root /point rw"), ElementsAre(Mount{"3:4", "/root", "/point", "", ""}));
  EXPECT_THAT(parse_mount_info("1 2 3:4 / /point rw - "), ElementsAre(Mount{"3:4", "/", "/point", "", ""}));
}

TEST(MountInfo, FindsTheMountOfAPath) {
  const std::vector<Mount> mounts{{"1:0", "/", "/", "ext4", ""},
                                  {"2:0", "/", "/run", "tmpfs", ""},
                                  {"3:0", "/x", "/run/a", "ext4", ""},
                                  {"4:0", "/y", "/run/a", "ext4", ""}};
  EXPECT_EQ(mount_of("/running", mounts), &mounts[0]);
  EXPECT_EQ(mount_of("/run", mounts), &mounts[1]);
  EXPECT_EQ(mount_of("/run/a/b", mounts), &mounts[3]) << "the later of two";
  EXPECT_EQ(mount_of("/run", {}), nullptr);
}

TEST(MountInfo, FindsTheOtherPathsOfAFile) {
  const std::vector<Mount> mounts{
      {"1:0", "/", "/", "ext4", ""},          {"2:0", "/", "/run", "tmpfs", ""},
      {"2:0", "/", "/host/run", "tmpfs", ""}, {"2:0", "/docker.sock", "/var/docker.sock", "tmpfs", ""},
      {"2:0", "/dock", "/elsewhere", "", ""}, {"1:0", "/srv", "/mnt", "ext4", ""}};
  EXPECT_THAT(paths_of_same_file("/run/docker.sock", mounts),
              ElementsAre("/run/docker.sock", "/host/run/docker.sock", "/var/docker.sock"));
  EXPECT_THAT(paths_of_same_file("/var/docker.sock", mounts),
              ElementsAre("/var/docker.sock", "/run/docker.sock", "/host/run/docker.sock"));
  EXPECT_THAT(paths_of_same_file("/srv/a", mounts), ElementsAre("/srv/a", "/mnt/a"));
  EXPECT_THAT(paths_of_same_file("/mnt", mounts), ElementsAre("/mnt", "/srv"));
  EXPECT_THAT(paths_of_same_file("/run", mounts), ElementsAre("/run", "/host/run"));
}

}  // namespace
}  // namespace soleroute::base
