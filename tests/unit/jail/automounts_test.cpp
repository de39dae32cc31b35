// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/automounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace soleroute::gateway::jail {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

base::Mount at(const std::string& point, const std::string& type, const std::string& options = "rw") {
  return {.device = "0:1", .root = "/", .point = point, .type = type, .options = options};
}

TEST(FindAutomounts, KeepsWhatIsMountedBelow) {
  EXPECT_THAT(find_automounts(std::vector{at("/", "ext4"), at("/srv", "autofs", "rw,indirect"), at("/srv/b", "nfs4"),
                                          at("/srv/a", "nfs4"), at("/srv/a/inner", "ext4"), at("/srvs", "ext4")}),
              ElementsAre(Automount{"/srv", {"/srv/a", "/srv/b"}}));
}

TEST(FindAutomounts, LeavesOutWhatIsMountedOver) {
  EXPECT_THAT(find_automounts(std::vector{at("/", "ext4"), at("/boot", "autofs", "rw,direct"), at("/boot", "vfat")}),
              IsEmpty());
  EXPECT_THAT(find_automounts(std::vector{at("/", "ext4"), at("/boot", "vfat"), at("/boot", "autofs")}),
              ElementsAre(Automount{"/boot", {}}));
}

TEST(FindAutomounts, TakesTheOuterFirst) {
  EXPECT_THAT(find_automounts(std::vector{at("/net/host", "autofs"), at("/net", "autofs"), at("/net/host/a", "nfs")}),
              ElementsAre(Automount{"/net", {"/net/host/a"}}, Automount{"/net/host", {"/net/host/a"}}));
}

TEST(FindAutomounts, KnowsOtherKindsThatResolveNames) {
  EXPECT_THAT(find_automounts(std::vector{at("/afs", "afs", "rw,dyn"), at("/cell", "afs", "rw"), at("/x", "fuse.afuse"),
                                          at("/proc/sys/fs/binfmt_misc", "autofs"), at("/y", "fuse.sshfs")}),
              ElementsAre(Automount{"/afs", {}}, Automount{"/x", {}}));
}

}  // namespace
}  // namespace soleroute::gateway::jail
