// Keeps a router's place in its network: the addresses it claims, the route to its agents, the kernel's settings; puts
// back what somebody else took, and tells what it cannot put back.
// Used on the controlling thread, in the network namespace that it protects.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/audit/decision_log.h"
#include "gateway/host/kernel_settings.h"
#include "gateway/netlink/links.h"

namespace soleroute::gateway::host {

// The ways out that were there and are no more. They are not this program's to make.
class WaysOut {
 public:
  // Adds a line for each family that has lost its default route, until it has one again, and for the loss of every
  // interface. Routes that a router advertised (IPv6) may be taken back by it.
  void look(std::vector<std::string>& problems);
  // At the start, when what is missing was never there.
  void remember();

 private:
  std::vector<netlink::DefaultRoute> routes_;  // those last seen of each family
};

class NetworkKeeper {
 public:
  NetworkKeeper(netlink::Interface inside, std::vector<base::InterfaceAddress> claim, audit::DecisionLog& log);

  // kSystem where the kernel goes on forwarding: without its rules this would be an open router.
  [[nodiscard]] base::Status make_settings();
  // From now on the addresses are claimed, and kept.
  [[nodiscard]] base::Status claim(const std::vector<netlink::Interface>& interfaces);
  // Puts back and logs what is missing. A line for each thing that is not as it should be; empty when all is.
  [[nodiscard]] std::vector<std::string> restore();

 private:
  void restore_settings(std::vector<std::string>& problems);
  void restore_addresses(const netlink::Interface& inside, std::vector<std::string>& problems);
  void restore_link_routes(const netlink::Interface& inside, std::vector<std::string>& problems);

  netlink::Interface inside_;
  std::vector<base::InterfaceAddress> claim_;
  audit::DecisionLog& log_;
  KernelSettings settings_;
  bool claimed_ = false;
  WaysOut ways_out_;
};

}  // namespace soleroute::gateway::host
