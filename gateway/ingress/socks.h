// The explicit proxy as clients of SOCKS5 see it (RFC 1928): what they ask for, and how they are answered.
// Used on its worker's thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/context.h"
#include "gateway/flow/refusal.h"

namespace soleroute::gateway::ingress {

// Section 6.
enum class SocksReply : std::uint8_t {
  kSucceeded = 0,
  kFailed = 1,
  kNotAllowed = 2,
  kHostUnreachable = 4,
  kRefused = 5,
  kCommandUnsupported = 7,
  kAddressTypeUnsupported = 8,
};

[[nodiscard]] std::string socks_reply(SocksReply reply);
// Of a destination that is allowed and could not be reached.
[[nodiscard]] SocksReply socks_reply_to(const flow::DialFailure& failure);

// A host by name or by address; where the name is an address in text, the address.
struct SocksAsked {
  std::optional<base::HostName> host;
  std::optional<base::IpAddress> address;
  std::uint16_t port = 0;
};

// Reads the greeting and the request, of which `read` holds the beginning, and leaves there what follows them.
// Nothing: the client was refused and logged, or left.
[[nodiscard]] boost::asio::awaitable<std::optional<SocksAsked>> socks_asked(flow::Context& context,
                                                                            flow::ClientConnection& client,
                                                                            flow::ReadAhead& read);

}  // namespace soleroute::gateway::ingress
