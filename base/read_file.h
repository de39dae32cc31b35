// A file that the kernel keeps (/proc and its like), read whole. For what others may have written:
// gateway/host/policy_files.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace soleroute::base {

// Its text, cut after `most` bytes. An error says that it cannot be read, and is kSystem.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t most);

}  // namespace soleroute::base
