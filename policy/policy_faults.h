// What is wrong with policy files, each fault at its place; at most kMaxFaults are kept and the rest are counted.
// Single-threaded: one list for each reader.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace soleroute::policy {

// A person mends no more at once, and each takes a search for its line.
inline constexpr std::size_t kMaxFaults = 20;

struct PolicyFault {
  std::string file;
  int line = 0;    // 1-based; 0: the file as a whole
  int column = 0;  // 1-based, in bytes
  std::string what;
  std::string text;  // `file:line:column: what`, the line and a caret: an error's message
};

struct PolicyFaults {
  std::vector<PolicyFault> first{};  // in the order of reading
  std::size_t count = 0;             // all of them

  [[nodiscard]] bool full() const { return first.size() >= kMaxFaults; }
  void add(PolicyFault fault) {
    ++count;
    if (!full()) first.push_back(std::move(fault));
  }
  void add(PolicyFaults later) {
    const std::size_t beyond = later.count - later.first.size();
    for (auto& fault : later.first) add(std::move(fault));
    count += beyond;
  }
};

}  // namespace soleroute::policy
