// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace soleroute::gateway::host {

base::Status raise_permitted_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return base::errno_error("cannot read own capabilities");
  for (auto& set : sets) set.effective = set.permitted;
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return base::errno_error("cannot raise own capabilities");
  return {};
}

}  // namespace soleroute::gateway::host
