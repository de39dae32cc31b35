// The Proxy-Status field (RFC 9209) of the gateway's own pages, and the reason phrase that tells the same to clients
// which show nothing else.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "gateway/flow/connector.h"
#include "policy/decision.h"

namespace soleroute::gateway::http {

// Error types as RFC 9209 section 2.3 registers them.
[[nodiscard]] std::string_view proxy_error(policy::Reason reason);
[[nodiscard]] std::string_view proxy_error(const flow::DialFailure& failure);
// Of an answer that did not come, or not whole.
[[nodiscard]] std::string_view response_error(policy::Reason reason);
// `gateway; error=http_request_denied; details="…"`. Of `details` the first kMostOfDetails printable characters.
inline constexpr std::size_t kMostOfDetails = 500;
[[nodiscard]] std::string proxy_status(std::string_view error, std::string_view details);

// "Blocked by policy: a.test". Of what is not printable ASCII, each byte is a question mark; at most kMostOfAPhrase.
inline constexpr std::size_t kMostOfAPhrase = 300;
[[nodiscard]] std::string reason_phrase(std::string_view what, std::string_view host);

}  // namespace soleroute::gateway::http
