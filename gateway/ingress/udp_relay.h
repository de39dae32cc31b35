// UDP `endpoints:`: datagrams that the rules redirected, each flow decided once and relayed over a socket that is
// connected to its destination, so that answers come from there alone.
// One per worker; used on its thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/fd.h"
#include "gateway/flow/context.h"
#include "gateway/netlink/conntrack.h"

namespace soleroute::gateway::ingress {

class UdpRelay {
 public:
  static constexpr std::size_t kMaxFlows = 4096;       // of a worker, refused ones included
  static constexpr std::chrono::seconds kIdle{120};    // as connection tracking keeps a flow that was answered
  static constexpr std::chrono::seconds kRefused{10};  // how long a refusal is remembered, and so not logged again
  static constexpr double kNewFlowsRate = 50;          // of one client, a second
  static constexpr double kNewFlowsBurst = 100;
  static constexpr double kDatagramsRate = 5000;  // of one flow, a second, in the direction of the destination
  static constexpr double kDatagramsBurst = 5000;

  // `socket`: net::bind_udp(). `mark`: SO_MARK, 0 none.
  UdpRelay(flow::Context& context, base::Fd socket, std::shared_ptr<netlink::Conntrack> tracked, std::uint32_t mark);
  UdpRelay(const UdpRelay&) = delete;
  UdpRelay& operator=(const UdpRelay&) = delete;
  ~UdpRelay();
  void start();
  void stop();
  // Ends the flows that the policy denies.
  void apply(const policy::Policy& policy);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace soleroute::gateway::ingress
