// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/host_service.h"

#include <algorithm>
#include <array>

namespace soleroute::policy {
namespace {

constexpr std::array<std::string_view, 3> kNames{kHostServiceName, "host.docker.internal", "host.containers.internal"};

}  // namespace

bool is_host_service_name(std::string_view name) {
  return std::ranges::find(kNames, name) != kNames.end();
}

bool is_host_service(const Decision& decision, std::string_view name) {
  return decision.allowed() && decision.matched_host == name && is_host_service_name(name);
}

bool lists_host_service(const Policy& policy, const Decision& decision, std::string_view name) {
  if (!is_host_service_name(name) || !decision.allowed()) return false;
  if (decision.matched_host == name) return true;
  return std::ranges::any_of(policy.endpoints(), [&](const EndpointView& endpoint) { return endpoint.host == name; });
}

const std::vector<base::HostName>& host_service_names() {
  static const std::vector<base::HostName> kParsed = [] {
    std::vector<base::HostName> names;
    for (const std::string_view name : kNames) names.push_back(base::HostName::parse(name).value());
    return names;
  }();
  return kParsed;
}

}  // namespace soleroute::policy
