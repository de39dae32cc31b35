// The flows a client connection can become. Each runs on its worker until the connection is over, or until nothing but
// a tunnel is left of it, and logs its decision.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>

#include "base/host_name.h"
#include "gateway/flow/context.h"
#include "gateway/flow/tunnel.h"

namespace soleroute::gateway::ingress {

// A redirected connection: guesses the protocol from its first bytes and becomes one of those below.
[[nodiscard]] boost::asio::awaitable<void> serve_redirected(flow::Context& context, flow::ClientConnection client);

// The same behind SOCKS, with what the client sent early; without an address to go to, its bytes say where.
[[nodiscard]] boost::asio::awaitable<flow::TunnelPtr> serve_transparent(flow::Context& context,
                                                                        flow::ClientConnection client,
                                                                        flow::ReadAhead read);

// TLS passed through.
[[nodiscard]] boost::asio::awaitable<flow::TunnelPtr> serve_tls(flow::Context& context, flow::ClientConnection client,
                                                                flow::ReadAhead read);

// The explicit proxy: CONNECT, absolute-form and SOCKS5.
[[nodiscard]] boost::asio::awaitable<void> serve_explicit_proxy(flow::Context& context, flow::ClientConnection client);

// A TCP `endpoints:` connection, and whether the policy lists its destination as one; `read`: what was read of it. On
// ports 80 and 443 a name's address is one only for the client that was told it, and what it has read is neither HTTP
// nor TLS.
[[nodiscard]] bool is_endpoint(const flow::Context& context, const flow::ClientConnection& client);
// A connection to the address of a denied name, on a port that is not the web's: waits for an operator.
[[nodiscard]] boost::asio::awaitable<void> ask_about_port(flow::Context& context, flow::ClientConnection& client);
// Is the name one of several of the address, and does `domains:` have another of them on this port?
[[nodiscard]] bool is_shared_with_domain(const flow::Context& context, const flow::ClientConnection& client);
[[nodiscard]] bool is_endpoint_by_name(const flow::Context& context, const flow::ClientConnection& client);
[[nodiscard]] boost::asio::awaitable<flow::TunnelPtr> serve_endpoint(flow::Context& context,
                                                                     flow::ClientConnection client,
                                                                     flow::ReadAhead read = {});

// TLS inside an allowed CONNECT tunnel: as serve_tls, but the SNI must equal `authority`.
[[nodiscard]] boost::asio::awaitable<flow::TunnelPtr> serve_tunnelled_tls(flow::Context& context,
                                                                          flow::ClientConnection client,
                                                                          flow::ReadAhead read,
                                                                          base::HostName authority);

}  // namespace soleroute::gateway::ingress
