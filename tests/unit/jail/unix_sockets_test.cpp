// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/unix_sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "base/fd.h"
#include "tests/support/temporary_folder.h"

namespace soleroute::gateway::jail {
namespace {

using soleroute::testing::TemporaryFolder;

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(BoundPaths, AreThoseWithAPathInTheKernelsTable) {
  const std::string table =
      "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 14561 /run/systemd/private\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03 23418 /run/dbus/system_bus_socket\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03 23419 /run/dbus/system_bus_socket\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01    17 @/tmp/.X11-unix/X0\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 16777 relative.sock\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03 99999\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 16778 /srv/a b/with spaces \n";
  EXPECT_THAT(bound_paths(table),
              ElementsAre("/run/dbus/system_bus_socket", "/run/systemd/private", "/srv/a b/with spaces "));
}

TEST(BoundPaths, OfOddTextAreNone) {
  for (const char* text : {"", "\n", "\n\n", "x", "/run/x", "a b c d e f", "a b c d e f g", "    "}) {
    EXPECT_THAT(bound_paths(text), IsEmpty()) << text;
  }
}

TEST(ReachableUnixSockets, AreSocketsThatAreThere) {
  const TemporaryFolder folder;
  const base::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = folder.path("one.sock");
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(*reachable_unix_sockets(), Contains(path));
  ASSERT_EQ(::unlink(path.c_str()), 0);
  EXPECT_THAT(*reachable_unix_sockets(), Not(Contains(path)));
  folder.write("one.sock", "a file that took its name");
  EXPECT_THAT(*reachable_unix_sockets(), Not(Contains(path)));
}

}  // namespace
}  // namespace soleroute::gateway::jail
