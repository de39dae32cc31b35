// The ports of HTTP and HTTPS (RFC 9110 section 4.2), which the gateway redirects.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

namespace soleroute::base {

inline constexpr std::uint16_t kHttpPort = 80;
inline constexpr std::uint16_t kHttpsPort = 443;

[[nodiscard]] constexpr bool is_web_port(std::uint16_t port) {
  return port == kHttpPort || port == kHttpsPort;
}

}  // namespace soleroute::base
