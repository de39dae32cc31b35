// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/client_limits.h"

namespace soleroute::gateway::dns {

ClientLimits::Verdict ClientLimits::admit(const base::IpAddress& client, Clock::time_point now) {
  Client& state = clients_.touch(client);
  if (waiting_ >= kWaitingTotal || state.waiting >= kWaitingPerClient) return Verdict::kTooManyWaiting;
  if (!state.budget.take(now)) return Verdict::kTooFast;
  ++state.waiting;
  ++waiting_;
  return Verdict::kAdmitted;
}

void ClientLimits::done(const base::IpAddress& client) {
  if (waiting_ > 0) --waiting_;
  Client* state = clients_.find(client);  // gone if thousands of clients came after it
  if (state != nullptr && state->waiting > 0) --state->waiting;
}

}  // namespace soleroute::gateway::dns
