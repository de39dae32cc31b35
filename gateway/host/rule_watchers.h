// Does a program of this network namespace listen for changes of nftables? A gateway and a guard do while they run,
// whatever their control socket is called.
// Reads one file; keeps nothing.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>

namespace soleroute::gateway::host {

// From the text of /proc/net/netlink: one line of headings, then one for each socket.
[[nodiscard]] bool has_rule_watcher(std::string_view table);
[[nodiscard]] bool rules_are_watched();

}  // namespace soleroute::gateway::host
