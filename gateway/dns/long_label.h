// Labels of a name that no person made: data in names, which a wildcard lets any name below it carry.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "base/host_name.h"

namespace soleroute::gateway::dns {

inline constexpr std::size_t kLongLabel = 40;  // names that people make have shorter ones

[[nodiscard]] inline bool has_long_label(const base::HostName& name) {
  std::string_view rest = name.text();
  while (!rest.empty()) {
    const auto length = std::min(rest.find('.'), rest.size());
    if (length >= kLongLabel) return true;
    rest.remove_prefix(std::min(rest.size(), length + 1));
  }
  return false;
}

}  // namespace soleroute::gateway::dns
