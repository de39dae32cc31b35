// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/network_keeper.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "gateway/host/lost_network.h"
#include "gateway/host/network.h"

namespace soleroute::gateway::host {
namespace {

bool has(const netlink::Interface& interface, const base::InterfaceAddress& address) {
  return std::ranges::any_of(interface.addresses,
                             [&](const base::InterfaceAddress& own) { return own.address == address.address; });
}

std::string text_of(const netlink::DefaultRoute& route) {
  const char* family = route.family == base::Family::kV4 ? "IPv4" : "IPv6";
  return route.via ? fmt::format("{} through {}", family, route.via->to_string()) : family;
}

}  // namespace

NetworkKeeper::NetworkKeeper(netlink::Interface inside, std::vector<base::InterfaceAddress> claim,
                             audit::DecisionLog& log)
    : inside_(std::move(inside)), claim_(std::move(claim)), log_(log), settings_(inside_.name) {}

base::Status NetworkKeeper::make_settings() {
  if (const auto forwarding = settings_.make(); !forwarding.empty()) {
    return base::system_error(
        fmt::format("this gateway would forward packets without its rules:\n  {}", fmt::join(forwarding, "\n  ")));
  }
  if (settings_.refused() > 0) {
    log_.lifecycle("settings", fmt::format("{} kernel network settings cannot be changed (/proc/sys is "
                                           "read-only here); the rules do not depend on them",
                                           settings_.refused()));
  }
  return {};
}

base::Status NetworkKeeper::claim(const std::vector<netlink::Interface>& interfaces) {
  SR_TRY(claim_addresses(inside_, claim_));
  for (const auto& done : mend_default_route(interfaces, claim_, inside_)) log_.lifecycle("route", done);
  claimed_ = true;
  ways_out_.remember();
  return {};
}

std::vector<std::string> NetworkKeeper::restore() {
  std::vector<std::string> problems;
  restore_settings(problems);
  const auto interfaces = netlink::list_interfaces();
  if (!interfaces) {
    problems.push_back(interfaces.error().message);
    return problems;
  }
  const auto inside = std::ranges::find(*interfaces, inside_.name, &netlink::Interface::name);
  if (inside == interfaces->end() || !inside->up) {
    problems.push_back(
        fmt::format("the agents' interface {} is {}", inside_.name, inside == interfaces->end() ? "gone" : "down"));
    return problems;
  }
  if (!claimed_) return problems;
  restore_addresses(*inside, problems);
  restore_link_routes(*inside, problems);
  for (const auto& done : mend_default_route(*interfaces, claim_, *inside)) log_.lifecycle("route", done);
  ways_out_.look(problems);
  return problems;
}

void NetworkKeeper::restore_settings(std::vector<std::string>& problems) {
  const auto look = settings_.restore();
  if (!look.reset.empty()) {
    log_.error(
        fmt::format("kernel settings were changed by another program ({}); restored", fmt::join(look.reset, ", ")));
  }
  problems.insert(problems.end(), look.forwarding.begin(), look.forwarding.end());
}

void NetworkKeeper::restore_addresses(const netlink::Interface& inside, std::vector<std::string>& problems) {
  for (const auto& address : claim_) {
    if (has(inside, address)) continue;
    if (const auto claimed = claim_addresses(inside, {address}); claimed) {
      log_.error(fmt::format("the claimed address {} was removed from {}; restored", address.to_string(), inside.name));
    } else {
      problems.push_back(fmt::format("the claimed address {} was removed from {}, and cannot be restored: {}",
                                     address.to_string(), inside.name, claimed.error().message));
    }
  }
}

// The kernel makes it with the address, and not again when somebody deletes it alone.
void NetworkKeeper::restore_link_routes(const netlink::Interface& inside, std::vector<std::string>& problems) {
  const auto routes = netlink::list_routes();
  if (!routes) return problems.push_back(routes.error().message);
  for (const auto& address : claim_) {
    const auto subnet = address.subnet();
    const bool there = std::ranges::any_of(*routes, [&](const netlink::Route& route) {
      return route.interface_index == inside.index && route.destination == subnet;
    });
    if (there || address.prefix_length == address.address.bits()) continue;
    const auto added = netlink::add_link_route(inside.index, subnet);
    if (added) {
      log_.error(fmt::format("the route to {} on {} was removed; restored", subnet.to_string(), inside.name));
    } else {
      problems.push_back(fmt::format("the route to {} on {} was removed, and cannot be restored: {}",
                                     subnet.to_string(), inside.name, added.error().message));
    }
  }
}

void WaysOut::remember() {
  std::vector<std::string> unsaid;
  look(unsaid);
}

void WaysOut::look(std::vector<std::string>& problems) {
  const auto interfaces = netlink::list_interfaces();
  if (interfaces && std::ranges::all_of(*interfaces, &netlink::Interface::loopback)) problems.push_back(kNetworkLost);
  const auto routes = netlink::list_default_routes();
  if (!routes) return problems.push_back(routes.error().message);
  const std::vector<netlink::DefaultRoute> last = std::exchange(routes_, *routes);
  for (const auto& route : last) {
    const bool replaced = std::ranges::any_of(*routes, [&](const auto& one) { return one.family == route.family; });
    if (replaced || route.advertised) continue;
    problems.push_back(fmt::format("no default route for {} any more", text_of(route)));
    routes_.push_back(route);  // until there is one again
  }
}

}  // namespace soleroute::gateway::host
