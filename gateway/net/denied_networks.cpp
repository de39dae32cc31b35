// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/denied_networks.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace soleroute::gateway::net {
namespace {

constexpr int kV4Length = 16;
constexpr int kV6Length = 64;
constexpr int kShortestV4 = 8;
constexpr int kShortestV6 = 32;
// fd73:6f6c:6572::/48. The jail's own address is in its subnet 0.
constexpr std::array<std::uint8_t, 6> kLocalPrefix{0xfd, 0x73, 0x6f, 0x6c, 0x65, 0x72};

base::Cidr v4_network(std::uint8_t first, std::uint8_t second, int length = kV4Length) {
  return base::Cidr::make(base::IpAddress::v4({first, second, 0, 0}), length).value_or(base::Cidr{});
}

base::Cidr v6_network(std::uint8_t subnet, int length = kV6Length) {
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(kLocalPrefix, bytes.begin());
  bytes[7] = subnet;
  return base::Cidr::make(base::IpAddress::v6(bytes), length).value_or(base::Cidr{});
}

// Not 100.64.0.0/16, where the jail's own address is.
std::vector<base::Cidr> v4_candidates() {
  std::vector<base::Cidr> all;
  for (std::uint8_t second = 65; second < 128; ++second) all.push_back(v4_network(100, second));
  all.push_back(v4_network(198, 18));
  all.push_back(v4_network(198, 19));
  return all;
}

std::vector<base::Cidr> v6_candidates() {
  std::vector<base::Cidr> all;
  for (std::uint8_t subnet = 1; subnet < 64; ++subnet) all.push_back(v6_network(subnet));
  return all;
}

bool is_statement(const base::Cidr& prefix) {
  return prefix.prefix_length() >= (prefix.address().is_v4() ? kShortestV4 : kShortestV6);
}

bool is_free(const base::Cidr& network, std::span<const base::Cidr> taken) {
  return std::ranges::none_of(taken, [&](const base::Cidr& other) {
    return is_statement(other) && (other.contains(network) || network.contains(other));
  });
}

std::optional<base::Cidr> first_free(const std::vector<base::Cidr>& candidates, std::span<const base::Cidr> taken,
                                     const std::optional<base::Cidr>& before) {
  if (before && is_free(*before, taken)) return before;
  const auto found = std::ranges::find_if(candidates, [&](const base::Cidr& each) { return is_free(each, taken); });
  return found == candidates.end() ? std::nullopt : std::optional(*found);
}

bool is_inside(const std::optional<base::Cidr>& network, const base::IpAddress& address) {
  return network && network->contains(address);
}

}  // namespace

bool DeniedNetworks::contains(const base::IpAddress& address) const {
  const auto plain = address.unmapped();
  return is_inside(v4, plain) || is_inside(v6, plain);
}

std::vector<base::Cidr> DeniedNetworks::list() const {
  std::vector<base::Cidr> all;
  if (v4) all.push_back(*v4);
  if (v6) all.push_back(*v6);
  return all;
}

DeniedNetworks choose_denied_networks(std::span<const base::Cidr> taken, const DeniedNetworks& before) {
  return {.v4 = first_free(v4_candidates(), taken, before.v4), .v6 = first_free(v6_candidates(), taken, before.v6)};
}

std::vector<base::Cidr> denied_network_ranges() {
  constexpr int kSharedSpace = 10;
  constexpr int kBenchmarks = 15;
  constexpr int kLocal = 48;
  return {v4_network(100, 64, kSharedSpace), v4_network(198, 18, kBenchmarks), v6_network(0, kLocal)};
}

}  // namespace soleroute::gateway::net
