// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/read_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/fd.h"

namespace soleroute::base {

Result<std::string> read_file(const std::string& path, std::size_t most) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno_error("cannot read " + path);
  std::string text;
  std::array<char, 16384> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): read into
  while (text.size() < most) {
    const ssize_t count = ::read(file.get(), chunk.data(), std::min(chunk.size(), most - text.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("cannot read " + path);
    if (count == 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace soleroute::base
