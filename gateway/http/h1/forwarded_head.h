// Heads as they are sent on: the sender's own bytes in their order and case, less what must not pass a gateway.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <span>
#include <string>

#include "gateway/http/header_injection.h"
#include "sniffer/http1_head.h"

namespace soleroute::gateway::http::h1 {

// Nothing: the received bytes from head.offset to head.size are right as they are. Otherwise what replaces them:
// absolute-form made origin-form, one Host, no Proxy-* fields, no upgrade but WebSocket (RFC 9110 sections 7.6
// and 7.8).
[[nodiscard]] std::optional<std::string> forwarded_request(const sniffer::RequestHead& head);

// The same with the fields that the policy sets, in place of the request's own. Always something, and for the origin
// alone: it holds secrets.
[[nodiscard]] std::string injected_request(const sniffer::RequestHead& head,
                                           std::span<const policy::HeaderTransform> transforms,
                                           std::span<const InjectedField> fields);

// Is its body, which has a length, forwarded as chunks? See has_doubtful_body().
[[nodiscard]] bool sent_as_chunks(const sniffer::RequestHead& head, const policy::Decision& decision);

// What replaces the head of a request that `decision` admits and for which `fields` were prepared; nothing as above.
[[nodiscard]] std::optional<std::string> sent_request(const sniffer::RequestHead& head,
                                                      const policy::Decision& decision,
                                                      std::span<const InjectedField> fields);

// Likewise for the first head.size bytes of a response, which may not be in plain form: Alt-Svc is left out, since
// other ways to the origin are closed.
[[nodiscard]] std::optional<std::string> forwarded_response(const sniffer::ResponseHead& head,
                                                            std::string_view received);

}  // namespace soleroute::gateway::http::h1
