// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/ping.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "base/fd.h"

namespace soleroute::gateway::jail {

void allow_echo_sockets(KnownGroups known, gid_t group) {
  constexpr std::uint32_t kLastGroup = 2147483647;  // the kernel takes no higher one
  const std::string range =
      known == KnownGroups::kAll ? fmt::format("0 {}\n", kLastGroup) : fmt::format("{} {}\n", group, group);
  const base::Fd file(::open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC));
  if (file) static_cast<void>(::write(file.get(), range.data(), range.size()));
}

void ignore_file_capabilities() {
  mount_attr attributes{.attr_set = MOUNT_ATTR_NOSUID, .attr_clr = 0, .propagation = 0, .userns_fd = 0};
  static_cast<void>(::mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes));
}

}  // namespace soleroute::gateway::jail
