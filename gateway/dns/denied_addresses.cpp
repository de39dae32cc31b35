// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/denied_addresses.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace soleroute::gateway::dns {
namespace {

constexpr int kV4Length = 16;  // the last two bytes of an address are the number of its name
constexpr int kV6Length = 64;

// The last two bytes of the network's address become `number`.
base::IpAddress numbered(const base::Cidr& network, std::size_t number) {
  const auto high = static_cast<std::uint8_t>(number >> 8U);
  const auto low = static_cast<std::uint8_t>(number & 0xffU);
  const auto bytes = network.address().bytes();
  if (network.address().is_v4()) return base::IpAddress::v4({bytes[0], bytes[1], high, low});
  std::array<std::uint8_t, 16> all{};
  std::ranges::copy(bytes, all.begin());
  all[14] = high;
  all[15] = low;
  return base::IpAddress::v6(all);
}

std::optional<base::Cidr> usable(const std::optional<base::Cidr>& network, base::Family family, int length) {
  const bool fits = network && network->address().family() == family && network->prefix_length() == length;
  return fits ? network : std::nullopt;
}

}  // namespace

DeniedAddresses::DeniedAddresses(const DeniedNetworks& networks)
    : networks_{.v4 = usable(networks.v4, base::Family::kV4, kV4Length),
                .v6 = usable(networks.v6, base::Family::kV6, kV6Length)} {}

std::optional<std::size_t> DeniedAddresses::block_of(const base::IpAddress& client, Clock::time_point now) {
  if (const auto found = by_client_.find(client); found != by_client_.end()) return found->second;
  std::size_t place = blocks_.size();
  if (place < kMaxClients) {
    blocks_.push_back(std::make_unique<Block>());
  } else {
    const auto oldest = std::ranges::min_element(blocks_, {}, [](const auto& block) { return block->used; });
    if (now - (*oldest)->used < kClientLeast) return std::nullopt;
    by_client_.erase((*oldest)->client);
    *oldest = std::make_unique<Block>();
    place = static_cast<std::size_t>(std::distance(blocks_.begin(), oldest));
  }
  blocks_[place]->client = client;
  by_client_.emplace(client, place);
  return place;
}

std::optional<std::size_t> DeniedAddresses::slot_of(Block& block, const base::HostName& name, Clock::time_point now) {
  if (const auto found = block.by_name.find(name); found != block.by_name.end()) {
    const auto given = found->second;
    given->when = now;
    block.order.splice(block.order.end(), block.order, given);
    return given->slot;
  }
  if (block.by_slot.size() < kNamesPerClient) {
    const auto given = block.order.insert(block.order.end(), {name, now, block.by_slot.size()});
    block.by_slot.push_back(given);
    block.by_name.emplace(name, given);
    return given->slot;
  }
  const auto oldest = block.order.begin();
  if (now - oldest->when < kLeast) return std::nullopt;
  block.by_name.erase(oldest->name);
  oldest->name = name;
  oldest->when = now;
  block.by_name.emplace(name, oldest);
  block.order.splice(block.order.end(), block.order, oldest);
  return oldest->slot;
}

DeniedAddresses::Pair DeniedAddresses::give(const base::IpAddress& client, const base::HostName& name,
                                            Clock::time_point now) {
  const auto key = key_of(client);
  const std::lock_guard lock(mutex_);
  if (networks_ == DeniedNetworks{}) return {};
  const auto place = block_of(key, now);
  if (!place) return {};
  Block& block = *blocks_[*place];
  block.used = now;
  const auto slot = slot_of(block, name, now);
  if (!slot) return {};
  const std::size_t number = (*place + 1) * kNamesPerClient + *slot;
  Pair pair;
  if (networks_.v4) pair.v4 = numbered(*networks_.v4, number);
  if (networks_.v6) pair.v6 = numbered(*networks_.v6, number);
  return pair;
}

// Of the slot that the address stands for; nothing if none was ever given it.
std::optional<std::size_t> DeniedAddresses::number_of(const base::IpAddress& address) const {
  if (!networks_.contains(address)) return std::nullopt;
  const auto bytes = address.bytes();
  const std::size_t number = std::size_t{bytes[bytes.size() - 2]} << 8U | bytes.back();
  const auto& network = address.is_v4() ? networks_.v4 : networks_.v6;
  if (!network || number < kNamesPerClient || numbered(*network, number) != address) return std::nullopt;
  return number;
}

void DeniedAddresses::tell_apart(net::ClientKeys::Who clients) {
  keys_ = net::ClientKeys(clients);
}

base::IpAddress DeniedAddresses::key_of(const base::IpAddress& client) const {
  const std::lock_guard lock(keys_mutex_);
  return keys_.of(client, net::ClientKeys::Clock::now());
}

std::optional<base::HostName> DeniedAddresses::name_of(const base::IpAddress& address) const {
  auto found = find(address);
  return found ? std::optional(std::move(found->name)) : std::nullopt;
}

std::optional<base::HostName> DeniedAddresses::name_for(const base::IpAddress& client,
                                                        const base::IpAddress& address) const {
  const auto key = key_of(client);
  auto found = find(address);
  return found && found->client == key ? std::optional(std::move(found->name)) : std::nullopt;
}

std::optional<DeniedAddresses::Named> DeniedAddresses::find(const base::IpAddress& address) const {
  const std::lock_guard lock(mutex_);
  const auto number = number_of(address.unmapped());
  if (!number) return std::nullopt;
  const std::size_t place = *number / kNamesPerClient - 1;
  const std::size_t slot = *number % kNamesPerClient;
  if (place >= blocks_.size() || slot >= blocks_[place]->by_slot.size()) return std::nullopt;
  return Named{blocks_[place]->client, blocks_[place]->by_slot[slot]->name};
}

bool DeniedAddresses::contains(const base::IpAddress& address) const {
  const std::lock_guard lock(mutex_);
  return networks_.contains(address);
}

DeniedNetworks DeniedAddresses::networks() const {
  const std::lock_guard lock(mutex_);
  return networks_;
}

void DeniedAddresses::use(const DeniedNetworks& networks) {
  const std::lock_guard lock(mutex_);
  if (networks_ == networks) return;
  networks_ = {.v4 = usable(networks.v4, base::Family::kV4, kV4Length),
               .v6 = usable(networks.v6, base::Family::kV6, kV6Length)};
  blocks_.clear();
  by_client_.clear();
}

}  // namespace soleroute::gateway::dns
