// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/host_path.h"

#include <gtest/gtest.h>

#include <string>

namespace soleroute::gateway::project {
namespace {

constexpr const char* kRoot = "600 500 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a\n";
constexpr const char* kProc = "601 600 0:51 / /proc rw - proc proc rw\n";

std::string mount(const std::string& root, const std::string& point) {
  return "700 600 254:1 " + root + " " + point + " rw,relatime master:1 - ext4 /dev/vda1 rw\n";
}

TEST(PathOnTheMachine, IsReadFromTheMounts) {
  struct Row {
    const char* why;
    const char* folder;
    std::string mounts;
    std::optional<std::string> expected;
  };
  for (const Row& row : {
           Row{"on the container's own file system", "/src/app", "", "/src/app"},
           Row{"mounted elsewhere", "/w", mount("/srv/me/app", "/w"), "/srv/me/app"},
           Row{"below a mount", "/w/sub", mount("/srv/me/app", "/w"), "/srv/me/app/sub"},
           Row{"a neighbour of a mount", "/work", mount("/srv/me/app", "/w"), "/work"},
           Row{"mounted at its own path", "/srv/me/app", mount("/srv/me/app", "/srv/me/app"), "/srv/me/app"},
           Row{"at its own path, of a file system at /srv", "/srv/me/app", mount("/me/app", "/srv/me/app"),
               "/srv/me/app"},
           Row{"a whole file system", "/w", mount("/", "/w"), {}},
           Row{"a name with a space", "/w", mount("/srv/me/my\\040app", "/w"), "/srv/me/my app"},
           Row{"a mount point with a space", "/my w", mount("/srv/me/app", "/my\\040w"), "/srv/me/app"},
           Row{"the later of two mounts", "/w", mount("/first", "/w") + mount("/second", "/w"), "/second"},
           Row{"the deeper of two mounts", "/w/sub", mount("/inner", "/w/sub") + mount("/outer", "/w"), "/inner"},
           Row{"a line that is none", "/w", "nonsense\n\n1 2\n" + mount("/srv/me/app", "/w"), "/srv/me/app"},
       }) {
    EXPECT_EQ(path_on_the_machine(row.folder, std::string(kRoot) + kProc + row.mounts), row.expected) << row.why;
  }
}

TEST(PathOnTheMachine, WithoutMountsIsThePathHere) {
  EXPECT_EQ(path_on_the_machine("/w", ""), "/w");
}

}  // namespace
}  // namespace soleroute::gateway::project
