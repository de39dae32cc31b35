// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/fd.h"

#include <unistd.h>

namespace soleroute::base {

void Fd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

}  // namespace soleroute::base
