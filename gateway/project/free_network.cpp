// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/free_network.h"

#include <fmt/format.h>

#include "gateway/project/project_identity.h"

namespace soleroute::gateway::project {
namespace {

constexpr unsigned kAttempts = 64;
constexpr int kFreePrefix = 24;

}  // namespace

base::Cidr subnet(std::string_view network) {
  return base::Cidr::parse(fmt::format("{}.0/{}", network, kFreePrefix)).value_or(base::Cidr{});
}

std::optional<UsedNetwork> conflict(std::string_view network, std::span<const UsedNetwork> used) {
  const base::Cidr own = subnet(network);
  std::optional<UsedNetwork> found;
  for (const UsedNetwork& other : used) {
    if (!other.network.contains(own) && !own.contains(other.network)) continue;
    if (!found || other.network.prefix_length() > found->network.prefix_length()) found = other;
  }
  return found;
}

std::string free_network(std::string_view path, std::span<const UsedNetwork> used) {
  std::optional<std::string> behind_a_wider_one;
  for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
    std::string network = project_network(path, attempt);
    const auto other = conflict(network, used);
    if (!other) return network;
    if (!behind_a_wider_one && other->network.prefix_length() < kFreePrefix) behind_a_wider_one = std::move(network);
  }
  return behind_a_wider_one.value_or(project_network(path));
}

}  // namespace soleroute::gateway::project
