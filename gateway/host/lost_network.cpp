// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/lost_network.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include "base/hosts_file.h"
#include "base/ip_address.h"
#include "gateway/host/policy_files.h"

namespace soleroute::gateway::host {
namespace {

constexpr const char* kHosts = "/etc/hosts";
constexpr std::size_t kMaxHosts = std::size_t{64} << 10;

// Engines write ::1, fe00::0, ff00::0, ff02::1 and ff02::2 into every hosts file, with names of their own.
bool is_a_containers_own(const base::IpAddress& address) {
  const auto first = address.bytes()[0];
  return address.is_v6() ? first != 0 && first < 0xfe : first != 127;
}

}  // namespace

NetworkPresence network_presence(const std::vector<netlink::Interface>& interfaces, std::string_view hosts,
                                 std::string_view host_name) {
  const bool connected = std::ranges::any_of(interfaces, [](const auto& one) { return !one.loopback; });
  if (connected) return NetworkPresence::kPresent;
  bool named = false;
  base::for_each_host(hosts, [&](const base::IpAddress& address, std::string_view name) {
    named = named || (name == host_name && is_a_containers_own(address));
  });
  return named ? NetworkPresence::kReplaced : NetworkPresence::kLost;
}

namespace {

NetworkPresence network_presence_here() {
  const auto interfaces = netlink::list_interfaces();
  if (!interfaces) return NetworkPresence::kPresent;  // not known: nothing is ended for that
  const auto hosts = read_small_file(kHosts, kMaxHosts);
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) name.front() = '\0';
  return network_presence(*interfaces, hosts ? std::string_view(*hosts) : std::string_view{}, name.data());
}

}  // namespace

NetworkPresence NetworkWatch::look() {
  const NetworkPresence now = network_presence_here();
  replaced_ = now == NetworkPresence::kReplaced ? replaced_ + 1 : 0;
  return now == NetworkPresence::kReplaced && replaced_ < 2 ? NetworkPresence::kLost : now;
}

}  // namespace soleroute::gateway::host
