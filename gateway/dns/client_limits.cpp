// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/client_limits.h"

namespace soleroute::gateway::dns {

ClientLimits::Verdict ClientLimits::admit(const base::IpAddress& address, Clock::time_point now) {
  Client& client = clients_.touch(address);
  if (waiting_ >= kWaitingTotal || client.waiting >= kWaitingPerClient) return Verdict::kTooManyWaiting;
  if (!client.budget.take(now)) return Verdict::kTooFast;
  ++client.waiting;
  ++waiting_;
  return Verdict::kAdmitted;
}

void ClientLimits::done(const base::IpAddress& address) {
  if (waiting_ > 0) --waiting_;
  Client* client = clients_.find(address);  // gone if thousands of clients came after it
  if (client != nullptr && client->waiting > 0) --client->waiting;
}

}  // namespace soleroute::gateway::dns
