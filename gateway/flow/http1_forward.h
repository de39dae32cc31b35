// Heads as they are sent on: the sender's own bytes in their order and case, less what must not pass a gateway.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>

#include "sniffer/http1_head.h"

namespace soleroute::gateway::flow {

// Nothing: the received bytes from head.offset to head.size are right as they are. Otherwise what replaces them:
// absolute-form made origin-form, one Host, no Proxy-* fields, no upgrade but WebSocket (RFC 9110 sections 7.6
// and 7.8).
[[nodiscard]] std::optional<std::string> forwarded_request(const sniffer::RequestHead& head);

// Likewise for the first head.size bytes of a response: Alt-Svc is left out, since other ways to the origin are closed.
[[nodiscard]] std::optional<std::string> forwarded_response(const sniffer::ResponseHead& head,
                                                            std::string_view received);

}  // namespace soleroute::gateway::flow
