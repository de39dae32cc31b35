// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/ask_operator.h"

#include <utility>

#include "gateway/flow/held_requests.h"

namespace soleroute::gateway::http {

boost::asio::awaitable<std::optional<Page>> ask_operator(flow::Context& context, RequestFlow& request, Page denied,
                                                         std::function<bool()> has_left) {
  request.hold();
  std::function<bool(const policy::Policy&)> passes = [&request](const policy::Policy& policy) {
    return request.passes(policy);
  };
  auto record = request.record();
  auto answer = co_await flow::await_answer(context, std::move(record), std::move(passes), std::move(has_left));
  if (answer.policy == nullptr) {
    request.let_go();
    co_return std::move(denied);
  }
  co_return request.decide_again(std::move(answer.policy), answer.once);
}

}  // namespace soleroute::gateway::http
