// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/rights_of.h"

#include <fcntl.h>
#include <grp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace soleroute::gateway::jail {

RightsOf::RightsOf(const Identity& identity) : borrowed_(identity.borrowed), uid_(::geteuid()), gid_(::getegid()) {
  if (!borrowed_) return;
  const int count = ::getgroups(0, nullptr);
  groups_.resize(static_cast<std::size_t>(std::max(count, 0)));
  complete_ = ::getgroups(count, groups_.data()) >= 0 &&
              ::setgroups(identity.groups.size(), identity.groups.data()) == 0 && ::setegid(identity.gid) == 0 &&
              ::seteuid(identity.uid) == 0;
}

RightsOf::~RightsOf() {
  if (!borrowed_) return;
  const int err = errno;  // of what was tried with them
  if (::seteuid(uid_) != 0 || ::setegid(gid_) != 0 || ::setgroups(groups_.size(), groups_.data()) != 0) ::_exit(3);
  errno = err;
}

bool RightsOf::may_write(const std::string& path) const {
  if (!complete()) return true;
  return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0 || (errno != EACCES && errno != EPERM);
}

}  // namespace soleroute::gateway::jail
