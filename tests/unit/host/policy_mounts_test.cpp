// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/policy_mounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soleroute::gateway::host {
namespace {

using ::testing::HasSubstr;
using Kind = MountFault::Kind;

const std::vector<base::Mount> kMounts = base::parse_mount_info(
    "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "2 1 8:2 /project/policy.yaml /etc/soleroute/policy.yaml ro - ext4 /dev/sdb1 rw\n"
    "3 1 8:2 /project/old.yaml//deleted /etc/soleroute/old.yaml ro - ext4 /dev/sdb1 rw\n"
    "4 1 8:2 /project /folder ro - ext4 /dev/sdb1 rw\n"
    "5 1 8:2 /project.old//deleted /lost ro - ext4 /dev/sdb1 rw\n");

TEST(MountFault, TellsAReplacedFileFromOneThatOnlyMayBe) {
  const struct {
    const char* path;
    bool linked;
    bool changed;
    std::optional<Kind> kind;
    const char* why;
  } rows[]{
      {"/etc/soleroute/policy.yaml", true, false, Kind::kUnchanged, "one file, as it was read before"},
      {"/etc/soleroute/policy.yaml", true, true, std::nullopt, "one file, written in place"},
      {"/etc/soleroute/policy.yaml", false, true, Kind::kReplaced, "no name is left outside"},
      {"/etc/soleroute/old.yaml", true, true, Kind::kReplaced, "another name is left outside: an editor's copy"},
      {"/folder/policy.yaml", true, false, std::nullopt, "a folder is mounted"},
      {"/folder/policy.yaml", false, true, std::nullopt, "replaced between two looks: the next read has the new one"},
      {"/lost/policy.yaml", true, true, Kind::kReplaced, "the folder was replaced"},
      {"/srv/policy.yaml", true, false, std::nullopt, "no mount but the root"},
  };
  for (const auto& row : rows) {
    const auto fault = mount_fault(row.path, kMounts, row.linked, row.changed);
    EXPECT_EQ(fault ? std::optional(fault->kind) : std::nullopt, row.kind) << row.why;
    if (fault) {
      EXPECT_THAT(fault->message, HasSubstr(row.path));
    }
  }
}

TEST(MountFault, SaysWhatToDo) {
  const auto replaced = mount_fault("/etc/soleroute/policy.yaml", kMounts, false, false);
  ASSERT_TRUE(replaced);
  EXPECT_EQ(replaced->message,
            "/etc/soleroute/policy.yaml is mounted as a single file, and that file was replaced or removed outside: "
            "this is still the old one. Mount its folder instead of the file, and restart");
}

}  // namespace
}  // namespace soleroute::gateway::host
