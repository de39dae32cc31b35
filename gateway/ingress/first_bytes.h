// What a client says first, by which its protocol is told.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <optional>

#include "gateway/flow/context.h"
#include "gateway/flow/tunnel.h"
#include "gateway/net/stream.h"
#include "sniffer/protocol_guess.h"

namespace soleroute::gateway::ingress {

// A client that speaks HTTP or TLS does so at once; another may wait for the server.
inline constexpr std::chrono::milliseconds kPatience{1000};

struct FirstBytes {
  sniffer::Protocol protocol = sniffer::Protocol::kNeedMore;  // then it went away, or is silent
  flow::ReadAhead read;
  bool late = false;

  // Nothing was said within kPatience.
  [[nodiscard]] bool is_silence() const { return late && read.empty(); }
  // A protocol that is neither HTTP, of any version, nor TLS.
  [[nodiscard]] bool is_other() const { return protocol == sniffer::Protocol::kOther; }
};

// Beginning with what was `read`, under the deadline of the stream.
[[nodiscard]] boost::asio::awaitable<FirstBytes> first_bytes(net::Stream& stream, flow::ReadAhead read = {});

// The same within kFirstBytesTimeout. With `may_be_silent` a client that says nothing within kPatience keeps its
// stream.
[[nodiscard]] boost::asio::awaitable<FirstBytes> awaited_first_bytes(flow::Context& context, net::Stream& stream,
                                                                     flow::ReadAhead read, bool may_be_silent);

// What a server says before its client. Nothing: it waits, as those of HTTP and TLS do, or it begins HTTP, which a
// client that has said nothing could turn to yet.
[[nodiscard]] boost::asio::awaitable<std::optional<flow::ReadAhead>> greeting_of(net::Stream& origin);

inline constexpr const char* kNeitherSpoke = "the client said nothing, nor did the server, or it began HTTP";

// The tunnel, once its client has the greeting; null if the client has left.
[[nodiscard]] boost::asio::awaitable<flow::TunnelPtr> greeted(flow::TunnelPtr tunnel, flow::ReadAhead greeting);

}  // namespace soleroute::gateway::ingress
