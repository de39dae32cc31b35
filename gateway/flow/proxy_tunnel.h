// Asks an upstream proxy for a connection to one destination (CONNECT of HTTP, or SOCKS 5), and says why it refused.
// Reads not one byte beyond the proxy's answer: what follows is the destination's.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/upstream_proxy.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::flow {

// What is asked for: values whose text has no character that could end a line or a field.
struct ProxyTarget {
  std::optional<base::HostName> name{};  // or an address
  base::IpAddress address{};
  std::uint16_t port = 0;

  [[nodiscard]] std::string authority() const;  // "a.test:443", "[2001:db8::1]:443"
};

inline constexpr std::chrono::milliseconds kProxyAnswerTimeout{30000};

// On a connection to the proxy that nothing was said on. Afterwards it leads to `target`.
[[nodiscard]] boost::asio::awaitable<std::expected<void, DialFailure>> ask_for_tunnel(net::Stream& stream,
                                                                                      const UpstreamProxy& proxy,
                                                                                      ProxyTarget target);

// "CONNECT a.test:443 …" with the gateway's login.
[[nodiscard]] std::string connect_request(const UpstreamProxy& proxy, const std::string& authority);

// A request in clear as its proxy takes it: the target in absolute form, and the gateway's own login. `head` is a whole
// head in origin form.
[[nodiscard]] std::string forwarded_by_proxy(std::string_view head, const UpstreamProxy& proxy,
                                             const ProxyTarget& target);

// "upstream proxy proxy.test:3128 answered 407: …", `challenges` being its Proxy-Authenticate fields.
[[nodiscard]] std::string login_fault(const UpstreamProxy& proxy, std::string_view challenges);

}  // namespace soleroute::gateway::flow
