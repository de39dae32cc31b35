// What each upstream server has shown that it can and cannot do, so that the next question asks it the right way.
// Thread-safe: shared by all workers. Bounded by the number of servers; forgotten after kRemembered.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"

namespace soleroute::gateway::dns {

enum class Lack : std::uint8_t {
  kEdns,        // asked without it
  kLetterCase,  // each answer is confirmed
  kTcp,         // not asked over it; of a long answer, what fits is used
  kNeatness,    // bytes after the message, or records that cannot be read: ignored
  kTls,         // not connected to, or not verified: not asked
};
inline constexpr std::size_t kLacks = 5;

class UpstreamTraits {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes kRemembered{10};
  // `say` gets each fault once, when it is first certain; on the thread of any worker.
  explicit UpstreamTraits(std::function<void(const std::string&)> say = {}) : say_(std::move(say)) {}

  [[nodiscard]] bool lacks(const base::Endpoint& server, Lack lack) const;
  [[nodiscard]] bool speaks_edns(const base::Endpoint& server) const;

  // `how` follows "resolver ADDRESS": "answers FORMERR to EDNS: asked without it".
  void learn(const base::Endpoint& server, Lack lack, std::string_view how);
  // The same, not said yet. False: it was assumed or known before.
  bool assume(const base::Endpoint& server, Lack lack);
  void forget(const base::Endpoint& server, Lack lack);
  void edns_worked(const base::Endpoint& server);
  void edns_is_doubtful(const base::Endpoint& server);

  // "resolver 192.0.2.1 answers FORMERR to EDNS: asked without it", of all that is remembered and certain.
  [[nodiscard]] std::vector<std::string> faults() const;

 private:
  struct Fault {
    Clock::time_point until{};
    std::string how;  // empty: assumed
    bool said = false;
  };
  struct Server {
    base::Endpoint endpoint{};
    std::array<Fault, kLacks> faults{};
    Clock::time_point edns_until{};
  };
  [[nodiscard]] const Server* find(const base::Endpoint& server) const;
  [[nodiscard]] Server& of(const base::Endpoint& server);

  std::function<void(const std::string&)> say_;
  mutable std::mutex mutex_;
  std::vector<Server> servers_;
};

}  // namespace soleroute::gateway::dns
