// The flows a client connection can become. Each runs on its worker until the connection is over, or until nothing but
// a tunnel is left of it, and logs its decision.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <vector>

#include "gateway/flow/flow_context.h"
#include "gateway/flow/tunnel.h"

namespace soleroute::gateway::flow {

// What has been read from the client and not yet consumed; replayed, never peeked.
using ReadAhead = std::vector<std::byte>;

// A redirected connection: guesses the protocol from its first bytes and becomes one of those below.
[[nodiscard]] boost::asio::awaitable<void> serve_redirected(FlowContext& context, ClientConnection client);

// TLS passed through (flow/tls_passthrough.cpp).
[[nodiscard]] boost::asio::awaitable<TunnelPtr> serve_tls(FlowContext& context, ClientConnection client,
                                                          ReadAhead read);

// HTTP/1 on port 80, every request decided (flow/http1.cpp).
[[nodiscard]] boost::asio::awaitable<void> serve_http1(FlowContext& context, ClientConnection client, ReadAhead read);

// The explicit proxy: CONNECT and absolute-form (flow/explicit_proxy.cpp).
[[nodiscard]] boost::asio::awaitable<void> serve_explicit_proxy(FlowContext& context, ClientConnection client);

// A TCP `endpoints:` connection (flow/endpoint.cpp), and whether the policy lists its destination as one.
[[nodiscard]] bool is_endpoint(const FlowContext& context, const ClientConnection& client);
[[nodiscard]] boost::asio::awaitable<TunnelPtr> serve_endpoint(FlowContext& context, ClientConnection client);

// TLS inside an allowed CONNECT tunnel: as serve_tls, but the SNI must equal `authority`.
[[nodiscard]] boost::asio::awaitable<TunnelPtr> serve_tunnelled_tls(FlowContext& context, ClientConnection client,
                                                                    ReadAhead read, base::HostName authority);

}  // namespace soleroute::gateway::flow
