// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/upstream_traits.h"

#include <algorithm>
#include <utility>

#include "gateway/dns/upstreams.h"

namespace soleroute::gateway::dns {
namespace {

std::string sentence(const base::Endpoint& server, const std::string& how) {
  return "resolver " + (server.port == kDnsPort ? server.address.to_string() : server.to_string()) + " " + how;
}

std::size_t index_of(Lack lack) {
  return static_cast<std::size_t>(lack);
}

}  // namespace

const UpstreamTraits::Server* UpstreamTraits::find(const base::Endpoint& server) const {
  const auto found = std::ranges::find(servers_, server, &Server::endpoint);
  return found == servers_.end() ? nullptr : &*found;
}

UpstreamTraits::Server& UpstreamTraits::of(const base::Endpoint& server) {
  const auto found = std::ranges::find(servers_, server, &Server::endpoint);
  return found == servers_.end() ? servers_.emplace_back(Server{.endpoint = server}) : *found;
}

bool UpstreamTraits::lacks(const base::Endpoint& server, Lack lack) const {
  const std::lock_guard lock(mutex_);
  const Server* const known = find(server);
  return known != nullptr && known->faults[index_of(lack)].until > Clock::now();
}

bool UpstreamTraits::speaks_edns(const base::Endpoint& server) const {
  const std::lock_guard lock(mutex_);
  const Server* const known = find(server);
  return known != nullptr && known->edns_until > Clock::now();
}

void UpstreamTraits::learn(const base::Endpoint& server, Lack lack, std::string_view how) {
  std::string to_say;
  {
    const std::lock_guard lock(mutex_);
    Server& known = of(server);
    if (lack == Lack::kEdns) known.edns_until = {};
    Fault& fault = known.faults[index_of(lack)];
    fault.until = Clock::now() + kRemembered;
    fault.how = how;
    if (!std::exchange(fault.said, true)) to_say = sentence(server, fault.how);
  }
  if (say_ && !to_say.empty()) say_(to_say);
}

bool UpstreamTraits::assume(const base::Endpoint& server, Lack lack) {
  const std::lock_guard lock(mutex_);
  Fault& fault = of(server).faults[index_of(lack)];
  const bool known = fault.until > Clock::now();
  if (!known) {
    fault.how.clear();
    fault.until = Clock::now() + kRemembered;
  }
  return !known;
}

void UpstreamTraits::forget(const base::Endpoint& server, Lack lack) {
  const std::lock_guard lock(mutex_);
  if (find(server) != nullptr) of(server).faults[index_of(lack)].until = {};
}

void UpstreamTraits::edns_worked(const base::Endpoint& server) {
  const std::lock_guard lock(mutex_);
  Server& known = of(server);
  known.edns_until = Clock::now() + kRemembered;
  known.faults[index_of(Lack::kEdns)].until = {};
}

void UpstreamTraits::edns_is_doubtful(const base::Endpoint& server) {
  const std::lock_guard lock(mutex_);
  of(server).edns_until = {};
}

std::vector<std::string> UpstreamTraits::faults() const {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  std::vector<std::string> out;
  for (const Server& server : servers_) {
    for (const Fault& fault : server.faults) {
      if (fault.until > now && !fault.how.empty()) out.push_back(sentence(server.endpoint, fault.how));
    }
  }
  return out;
}

}  // namespace soleroute::gateway::dns
