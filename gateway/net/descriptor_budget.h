// The descriptors that a worker has for its clients, counted for each: no client takes the last quarter.
// Not thread-safe: one per worker. Outlives its charges.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/ip_address.h"
#include "gateway/net/client_keys.h"

namespace soleroute::gateway::net {

// For each connection of a client two are set aside: its own and one to an origin. What it has open beyond that
// (attempts of a race, the origins of streams, look-ups) counts as well.
class DescriptorBudget {
  struct Account {
    std::size_t connections = 0;
    std::size_t others = 0;
    [[nodiscard]] std::size_t cost() const { return connections + (others > connections ? others : connections); }
  };
  using Accounts = std::unordered_map<base::IpAddress, Account>;

 public:
  static constexpr std::size_t kMaxReserve = 512;

  // What is charged, until it is destroyed.
  class Charge {
   public:
    Charge() = default;
    Charge(Charge&& other) noexcept { swap(other); }
    Charge& operator=(Charge&& other) noexcept {
      swap(other);
      return *this;
    }
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    ~Charge() { release(); }
    void release();

   private:
    friend class DescriptorBudget;
    void swap(Charge& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(account_, other.account_);
      std::swap(connection_, other.connection_);
      std::swap(count_, other.count_);
    }
    DescriptorBudget* budget_ = nullptr;
    Accounts::value_type* account_ = nullptr;
    bool connection_ = false;
    unsigned count_ = 0;
  };

  // `descriptors`: of all clients together.
  explicit DescriptorBudget(std::size_t descriptors = std::numeric_limits<std::size_t>::max() / 2,
                            ClientKeys keys = ClientKeys());
  DescriptorBudget(const DescriptorBudget&) = delete;
  DescriptorBudget& operator=(const DescriptorBudget&) = delete;
  ~DescriptorBudget() = default;

  // Nothing: it would be more than this client's share, or than there are.
  [[nodiscard]] std::optional<Charge> connection(const base::IpAddress& client);
  [[nodiscard]] std::optional<Charge> descriptors(const base::IpAddress& client, unsigned count = 1);

  // The client's key, as its other budgets use it.
  [[nodiscard]] base::IpAddress key(const base::IpAddress& client);
  void tell_agents_apart(ClientKeys::AgentOf agent_of) { keys_.tell_agents_apart(std::move(agent_of)); }
  [[nodiscard]] std::size_t held() const { return held_; }

 private:
  [[nodiscard]] std::optional<Charge> take(const base::IpAddress& client, bool connection, unsigned count);

  std::size_t capacity_;
  std::size_t reserve_;  // for clients that hold few
  std::size_t few_;
  ClientKeys keys_;
  Accounts accounts_;
  std::size_t held_ = 0;
};

}  // namespace soleroute::gateway::net
