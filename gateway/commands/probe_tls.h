// One request over TLS, to see who answers: the server named, the gateway with its refusal page, or nobody.
// Blocks under one deadline; trusts any certificate, because who answers is what is asked. Sends nothing secret.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::commands {

struct TlsProbe {
  enum class Outcome : std::uint8_t {
    kRefused,  // an alert or the end, before any server spoke
    kNotTls,   // something else than TLS answered
    kBegan,    // a server answered the hello, and the handshake went no further
    kDone,     // the handshake was completed; `answer` is what came on GET of `path`
  } outcome = Outcome::kRefused;
  std::string answer;
};

// Errors: those of the connection, in Error::sys_errno.
[[nodiscard]] base::Result<TlsProbe> probe_tls(const base::Endpoint& to, std::string_view name, std::string_view path,
                                               std::chrono::milliseconds limit);

}  // namespace soleroute::gateway::commands
