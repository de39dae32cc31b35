// Names the first packet of each refused flow in the decision log, from an NFQUEUE bound to the caller's namespace.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/fd.h"
#include "base/result.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/reverse_names.h"
#include "policy/policy.h"

namespace soleroute::gateway::queue {

inline constexpr std::uint16_t kPacketQueue = 19;  // NFQUEUE number that the refusal rules name

// A netlink socket bound to the queue in the network namespace of the calling thread (needs CAP_NET_ADMIN over it);
// the socket may then be handed to a process outside. Copy range: the first 128 bytes of each packet, or what is
// needed for a QUIC or DNS hint.
[[nodiscard]] base::Result<base::Fd> open_packet_queue(std::uint16_t number);

class PacketLog {
 public:
  PacketLog(boost::asio::io_context& io, base::Fd queue, std::uint16_t number,
            std::function<std::shared_ptr<const policy::Policy>()> policy, std::shared_ptr<dns::ReverseNames> names,
            audit::DecisionLog& log, audit::Counters& counters);
  PacketLog(const PacketLog&) = delete;
  PacketLog& operator=(const PacketLog&) = delete;
  ~PacketLog();
  void start();
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace soleroute::gateway::queue
