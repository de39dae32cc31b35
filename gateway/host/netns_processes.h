// Who else is in this network namespace and could go around its rules, as far as /proc shows it.
// Reads files; keeps nothing.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace soleroute::gateway::host {

// CAP_NET_ADMIN changes the rules, CAP_NET_RAW sends frames and marks past them.
struct NetworkPowers {
  bool admin = false;
  bool raw = false;
  [[nodiscard]] bool any() const { return admin || raw; }
  bool operator==(const NetworkPowers&) const = default;
};

// From the text of /proc/PID/status: what the process holds, or could gain by executing a privileged file.
[[nodiscard]] NetworkPowers network_powers(std::string_view status);
// What it can use now.
[[nodiscard]] NetworkPowers effective_powers(std::string_view status);
[[nodiscard]] std::string to_string(NetworkPowers powers);  // "CAP_NET_ADMIN and CAP_NET_RAW"

// Sockets below IP, from the text of /proc/net/packet: one line of headings, then one for each.
[[nodiscard]] int packet_socket_count(std::string_view table);

// One sentence for each process of this namespace that has such powers, this one aside, and one for open packet
// sockets. A process is seen where the PID namespace is shared with it; packet sockets always.
[[nodiscard]] std::vector<std::string> describe_netns_processes();

}  // namespace soleroute::gateway::host
