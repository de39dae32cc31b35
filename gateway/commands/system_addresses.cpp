// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/system_addresses.h"

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <memory>

namespace soleroute::gateway::commands {

base::Result<std::vector<base::IpAddress>> system_addresses(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int fault = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); fault != 0) {
    return base::system_error(fmt::format("{} was not resolved: {}", host, ::gai_strerror(fault)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  std::vector<base::IpAddress> out;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    const auto address = base::Endpoint::from_sockaddr(*each->ai_addr).address;
    if (std::ranges::find(out, address) == out.end()) out.push_back(address);
  }
  if (out.empty()) return base::system_error(host + " has no address");
  return out;
}

}  // namespace soleroute::gateway::commands
