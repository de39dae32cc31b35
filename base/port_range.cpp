// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/port_range.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace soleroute::base {

PortRanges normalised(PortRanges ranges) {
  std::ranges::sort(ranges, {}, [](const PortRange& range) { return std::pair(range.first, range.last); });
  PortRanges out;
  for (const PortRange& range : ranges) {
    if (!out.empty() && range.first <= out.back().last) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

bool contains(std::span<const PortRange> ranges, std::uint16_t port) {
  const auto beyond = std::ranges::upper_bound(ranges, port, {}, &PortRange::first);
  return beyond != ranges.begin() && std::prev(beyond)->contains(port);
}

std::string to_string(const PortRange& range) {
  const std::string first = std::to_string(range.first);
  return range.is_single() ? first : first + "-" + std::to_string(range.last);
}

std::string to_string(std::span<const PortRange> ranges) {
  std::string out;
  for (const PortRange& range : ranges) out += (out.empty() ? "" : ", ") + to_string(range);
  return out;
}

}  // namespace soleroute::base
