// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/client_limits.h"

namespace soleroute::gateway::dns {

ClientLimits::Verdict ClientLimits::admit(const base::IpAddress& client, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  Client& state = clients_.touch(client);
  if (state.waiting >= kWaitingPerClient) return Verdict::kTooManyWaiting;
  if (!state.budget.take(now)) return Verdict::kTooFast;
  ++state.waiting;
  return Verdict::kAdmitted;
}

void ClientLimits::done(const base::IpAddress& client) {
  const std::lock_guard lock(mutex_);
  Client* state = clients_.find(client);  // gone if thousands of clients came after it
  if (state != nullptr && state->waiting > 0) --state->waiting;
}

std::string_view to_string(ClientLimits::Verdict verdict) {
  switch (verdict) {
    case ClientLimits::Verdict::kAdmitted:
      return "";
    case ClientLimits::Verdict::kTooManyWaiting:
      return "too many lookups of this client are waiting";
    case ClientLimits::Verdict::kTooFast:
      return "more than 100 new names a second from this client";
  }
  return "";
}

}  // namespace soleroute::gateway::dns
