// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/ingress/held_connection.h"

#include <utility>

#include "gateway/flow/held_requests.h"
#include "gateway/flow/refusal.h"
#include "policy/observe.h"

namespace soleroute::gateway::ingress {

namespace asio = boost::asio;

bool may_be_held(const flow::Context& context, const flow::ClientConnection& client, const policy::Decision& decision) {
  return context.held != nullptr && !client.self_check && !client.was_held && flow::may_be_asked(decision);
}

asio::awaitable<Held> hold_connection(flow::Context& context, flow::ClientConnection& client,
                                      audit::DecisionRecord record, std::function<bool(const policy::Policy&)> passes) {
  net::Stream& stream = *client.stream;
  stream.never_expires();  // waiting has its own time
  std::function<bool()> has_left = [&stream] { return flow::has_left(stream); };
  const auto answer = co_await flow::await_answer(context, std::move(record), std::move(passes), std::move(has_left));
  stream.expires_after(flow::kFirstBytesTimeout);
  client.was_held = answer.policy == nullptr;
  if (client.was_held) co_return Held::kDenied;
  if (answer.once) client.granted = answer.policy;
  co_return Held::kPasses;
}

bool outlives(const policy::Policy& fresh, const policy::Policy* granted,
              const std::function<policy::Decision(const policy::Policy&)>& ask) {
  const auto decision = ask(fresh);
  if (policy::may_pass(fresh, decision)) return true;
  return granted != nullptr && flow::may_be_asked(decision) && policy::may_pass(*granted, ask(*granted));
}

}  // namespace soleroute::gateway::ingress
