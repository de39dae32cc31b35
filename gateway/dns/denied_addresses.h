// The addresses that DNS gives for denied names: one for each name and client, of a network that leads nowhere.
// Thread-safe (two locks, each held for a look-up and never across a wait). Bounded: kMaxClients blocks of
// kNamesPerClient names; a client that fills its block reuses its own addresses and no other client's.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/net/client_keys.h"
#include "gateway/net/denied_networks.h"

namespace soleroute::gateway::dns {

using net::DeniedNetworks;

class DeniedAddresses {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kNamesPerClient = 1024;
  static constexpr std::size_t kMaxClients = 63;  // 64 blocks are a /16; the first stays free
  // An address stays with its name at least this long: more than the TTL of an answer, and a connection.
  static constexpr std::chrono::seconds kLeast{10};
  // A client keeps its block this long after its last denied name, however many other clients come.
  static constexpr std::chrono::seconds kClientLeast{60};

  explicit DeniedAddresses(const DeniedNetworks& networks = {});

  struct Pair {
    std::optional<base::IpAddress> v4{};
    std::optional<base::IpAddress> v6{};
  };
  // Whose blocks are apart; before any other thread asks.
  void tell_apart(net::ClientKeys::Who clients);
  // The addresses that lead `client` to the refusal of `name`. Nothing: there is no network, or no free address.
  [[nodiscard]] Pair give(const base::IpAddress& client, const base::HostName& name, Clock::time_point now);
  // The name that was given this address last.
  [[nodiscard]] std::optional<base::HostName> name_of(const base::IpAddress& address) const;
  // The same, if it was given to this client: none learns what another asked for.
  [[nodiscard]] std::optional<base::HostName> name_for(const base::IpAddress& client,
                                                       const base::IpAddress& address) const;
  // Whether it is of a network of denied names. Such an address is never dialled.
  [[nodiscard]] bool contains(const base::IpAddress& address) const;
  [[nodiscard]] DeniedNetworks networks() const;
  // Other networks, after which no address has a name. The same ones change nothing.
  void use(const DeniedNetworks& networks);

 private:
  struct Given {
    base::HostName name;
    Clock::time_point when{};
    std::size_t slot = 0;
  };
  using Order = std::list<Given>;  // longest ago first
  struct Block {
    base::IpAddress client{};
    Clock::time_point used{};
    Order order{};
    std::unordered_map<base::HostName, Order::iterator> by_name{};
    std::vector<Order::iterator> by_slot{};
  };
  [[nodiscard]] std::optional<std::size_t> block_of(const base::IpAddress& client, Clock::time_point now);
  [[nodiscard]] static std::optional<std::size_t> slot_of(Block& block, const base::HostName& name,
                                                          Clock::time_point now);
  [[nodiscard]] std::optional<std::size_t> number_of(const base::IpAddress& address) const;
  [[nodiscard]] base::IpAddress key_of(const base::IpAddress& client) const;
  struct Named {
    base::IpAddress client;
    base::HostName name;
  };
  [[nodiscard]] std::optional<Named> find(const base::IpAddress& address) const;

  mutable std::mutex keys_mutex_;
  mutable net::ClientKeys keys_;
  mutable std::mutex mutex_;
  DeniedNetworks networks_;
  std::vector<std::unique_ptr<Block>> blocks_;  // they never move
  std::unordered_map<base::IpAddress, std::size_t> by_client_;
};

}  // namespace soleroute::gateway::dns
