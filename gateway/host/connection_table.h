// How full the kernel's table of connections is in this network namespace. Full, it drops what begins: agents'
// connections, and the gateway's own DNS questions.
// Pure but for the two files that it reads.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace soleroute::gateway::host {

// From this part of its limit on, in percent, the table is as good as full: the kernel drops entries early.
inline constexpr std::uint64_t kTableFullPercent = 95;

// Absent: there is room, or there is no such table.
[[nodiscard]] std::optional<std::string> describe_table(std::uint64_t entries, std::uint64_t limit);
[[nodiscard]] std::optional<std::string> connection_table_problem();

}  // namespace soleroute::gateway::host
