// Ports from a first to a last one, and lists of them as policies and rules keep them.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace soleroute::base {

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  [[nodiscard]] bool is_single() const { return first == last; }
  [[nodiscard]] bool contains(std::uint16_t port) const { return first <= port && port <= last; }
  bool operator==(const PortRange&) const = default;
};

using PortRanges = std::vector<PortRange>;

[[nodiscard]] constexpr PortRange just(std::uint16_t port) {
  return {port, port};
}

// Sorted, and those that overlap as one.
[[nodiscard]] PortRanges normalised(PortRanges ranges);

// Of a normalised list.
[[nodiscard]] bool contains(std::span<const PortRange> ranges, std::uint16_t port);

// "9000" or "8000-8100"; of a list "8000-8100, 9000".
[[nodiscard]] std::string to_string(const PortRange& range);
[[nodiscard]] std::string to_string(std::span<const PortRange> ranges);

}  // namespace soleroute::base
