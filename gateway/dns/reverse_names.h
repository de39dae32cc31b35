// What the gateway's own DNS resolved: which addresses a name has, which names led to an address, who looked it up.
// Thread-safe (sharded locks); bounded: the oldest entries go first.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/dns/denied_addresses.h"

namespace soleroute::gateway::dns {

using Clock = std::chrono::steady_clock;

class ReverseNames {
 public:
  // How long after a TTL has run out an address still counts: clients keep connections and answers longer than they
  // should.
  static constexpr std::chrono::seconds kGrace{300};

  explicit ReverseNames(std::size_t max_names = 65536);
  ~ReverseNames();

  // The gateway as clients see it: where denied names lead. Told by each Server when it is made.
  void set_own_addresses(std::vector<base::IpAddress> addresses);

  [[nodiscard]] bool is_own(const base::IpAddress& address) const;

  // The addresses that DNS gives for denied names; before any other thread asks. They have their names here, and lead
  // nowhere: no name leads to one of them.
  void use_denied(std::shared_ptr<const DeniedAddresses> addresses);
  [[nodiscard]] bool is_denied(const base::IpAddress& address) const;

  // The names of the policy's endpoints: however many other names lead to their addresses, these stay known.
  void keep(std::vector<base::HostName> names);
  [[nodiscard]] bool is_kept(const base::HostName& name) const;

  // The gateway resolved `name` to `addresses`; remembered until `expires` plus a grace for clients that cache.
  void remember(const base::HostName& name, const std::vector<base::IpAddress>& addresses, Clock::time_point expires);
  // `client` asked for `name` (allowed or not); the newest few per client are kept, for the packet log.
  void asked(const base::IpAddress& client, const base::HostName& name, bool denied);

  // Is `address` among those the gateway itself resolved for `name`?
  [[nodiscard]] bool leads_to(const base::HostName& name, const base::IpAddress& address) const;
  [[nodiscard]] std::vector<base::HostName> names_of(const base::IpAddress& address) const;
  // Those of them that this client itself asked for, and was told.
  [[nodiscard]] std::vector<base::HostName> told(const base::IpAddress& client, const base::IpAddress& address) const;
  // The name this client most recently looked up that led to `address`. For the address of a denied name: that name, if
  // this client asked for it.
  // For the gateway's own address: the last denied name.
  [[nodiscard]] std::optional<base::HostName> looked_up_as(const base::IpAddress& client,
                                                           const base::IpAddress& address) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace soleroute::gateway::dns
