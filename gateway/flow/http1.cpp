// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/flows.h"
#include "gateway/flow/http1_session.h"

namespace soleroute::gateway::flow {

boost::asio::awaitable<void> serve_http1(FlowContext& context, ClientConnection client, ReadAhead read) {
  Http1Session session(context, std::move(client), std::move(read), Entrance::kRedirected);
  co_await session.run();
}

}  // namespace soleroute::gateway::flow
