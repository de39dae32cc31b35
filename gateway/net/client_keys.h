// Which addresses are one client: those of one neighbour, of either family, as the kernel's neighbour table has them.
// Not thread-safe: one per worker.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ip_address.h"
#include "gateway/netlink/neighbours.h"

namespace soleroute::gateway::net {

class ClientKeys {
 public:
  using Clock = std::chrono::steady_clock;
  using Read = std::function<std::vector<netlink::Neighbour>()>;
  static constexpr int kReadsASecond = 10;          // for addresses that are not known yet
  static constexpr std::chrono::seconds kKeep{30};  // what was read
  static constexpr std::size_t kMaxKnown = 4096;

  enum class Who : std::uint8_t {
    kEachAddress,    // is a client
    kEachNeighbour,  // is a client, with all of its addresses
    kOne,            // whatever its address: a sidecar's and a jail's agent may use any of this machine's
  };
  explicit ClientKeys(Who who = Who::kEachAddress, Read read = netlink::read_neighbours);
  // Names the agent that has an address, all of whose addresses are one client; empty: no agent.
  using AgentOf = std::function<std::string_view(const base::IpAddress& address)>;
  void tell_agents_apart(AgentOf agent_of) { agent_of_ = std::move(agent_of); }

  [[nodiscard]] bool all_are_one() const { return who_ == Who::kOne; }
  // Equal for two addresses of one client. It is only to be compared: no address that could be dialled.
  // Several IPv4 addresses behind one Ethernet address (a router in between, ipvlan) are several clients; then each
  // IPv6 address there is one as well.
  [[nodiscard]] base::IpAddress of(const base::IpAddress& address, Clock::time_point now);

 private:
  void read(Clock::time_point now);
  [[nodiscard]] bool may_read(Clock::time_point now);

  Who who_;
  Read read_;
  AgentOf agent_of_{};
  std::unordered_map<base::IpAddress, base::IpAddress> keys_;
  Clock::time_point read_at_{};
  Clock::time_point second_{};  // in which reads_ were made
  int reads_ = 0;
};

}  // namespace soleroute::gateway::net
