// The kernel's settings that a router stands on, kept as they were made: forwarding off (a gateway that lost its rules
// must not become a router), source routing off, no route from loopback, no router advertisements on the inside, ICMP
// refusals not held back.
// Used on the controlling thread, in the network namespace that it protects.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gateway/netlink/links.h"

namespace soleroute::gateway::host {

class KernelSettings {
 public:
  explicit KernelSettings(std::string inside) : inside_(std::move(inside)) {}

  // Makes them; tells where packets could still be forwarded, a line each with the fix. Engines mount /proc/sys
  // read-only: what else stays as it was is counted, the rules do not depend on it.
  [[nodiscard]] std::vector<std::string> make();
  [[nodiscard]] int refused() const { return static_cast<int>(refused_.size()); }

  struct Look {
    std::vector<std::string> reset;       // "net.ipv4.ip_forward was 1": somebody changed it, it was set again
    std::vector<std::string> forwarding;  // as of make()
  };
  // Puts back what somebody changed since.
  [[nodiscard]] Look restore();

 private:
  std::vector<std::string> set_all(std::vector<std::string>& changed);

  std::string inside_;
  std::set<std::string> refused_;  // paths that could not be set at the start
};

}  // namespace soleroute::gateway::host
