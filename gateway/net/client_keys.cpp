// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/client_keys.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace soleroute::gateway::net {
namespace {

using LinkKey = std::pair<std::uint32_t, std::array<std::uint8_t, 6>>;

base::IpAddress key_of(const LinkKey& link) {
  std::array<std::uint8_t, 16> bytes{0xff};  // a group: no client has such an address
  for (std::size_t i = 0; i < 4; ++i) bytes[6 + i] = static_cast<std::uint8_t>(link.first >> (24 - 8 * i));
  std::ranges::copy(link.second, bytes.begin() + 10);
  return base::IpAddress::v6(bytes);
}

// The name alone: the key of an agent stays the same while the policy is reloaded.
base::IpAddress key_of_agent(std::string_view name) {
  std::array<std::uint8_t, 16> bytes{0xff, 0x01};  // another group
  const auto hash = std::uint64_t{std::hash<std::string_view>{}(name)};
  for (std::size_t i = 0; i < 8; ++i) bytes[8 + i] = static_cast<std::uint8_t>(hash >> (8 * i));
  return base::IpAddress::v6(bytes);
}

}  // namespace

ClientKeys::ClientKeys(Who who, Read read) : who_(who), read_(std::move(read)) {}

base::IpAddress ClientKeys::of(const base::IpAddress& address, Clock::time_point now) {
  if (who_ == Who::kOne) return {};
  const auto plain = address.unmapped();
  if (const auto agent = agent_of_ ? agent_of_(plain) : std::string_view{}; !agent.empty()) return key_of_agent(agent);
  if (who_ == Who::kEachAddress) return plain;
  auto found = keys_.find(plain);
  if ((found == keys_.end() && may_read(now)) || now - read_at_ >= kKeep) {
    read(now);
    found = keys_.find(plain);
    if (found == keys_.end() && keys_.size() < kMaxKnown) keys_.emplace(plain, plain);
  }
  return found == keys_.end() ? plain : found->second;
}

bool ClientKeys::may_read(Clock::time_point now) {
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    reads_ = 0;
  }
  return ++reads_ <= kReadsASecond;
}

void ClientKeys::read(Clock::time_point now) {
  read_at_ = now;
  keys_.clear();
  const auto neighbours = read_();
  std::map<LinkKey, int> v4_of;
  for (const auto& one : neighbours) v4_of[{one.interface_index, one.link}] += one.address.is_v4() ? 1 : 0;
  for (const auto& one : neighbours) {
    const LinkKey link{one.interface_index, one.link};
    if (v4_of[link] <= 1) keys_.emplace(one.address, key_of(link));
  }
}

}  // namespace soleroute::gateway::net
