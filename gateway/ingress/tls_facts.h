// What a policy is asked about a TLS connection.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/web_ports.h"
#include "policy/decision.h"

namespace soleroute::gateway::ingress {

// What a live connection needs to be asked about again after a reload. Outlives the parsed hello.
struct TlsQuery {
  base::IpAddress client;
  std::optional<base::Endpoint> destination{};  // where a redirected client was going
  std::optional<base::HostName> sni{};
  bool encrypted_client_hello = false;
  std::uint16_t port = base::kHttpsPort;
  std::optional<base::IpAddress> dialled{};  // where the gateway's own connection leads

  // `authority`: of the CONNECT around it.
  [[nodiscard]] policy::FlowFacts facts(std::optional<base::HostName> authority = std::nullopt) const {
    policy::FlowFacts facts;
    facts.phase = policy::Phase::kTls;
    facts.client = client;
    facts.original_destination = destination;
    facts.sni = sni;
    facts.host = std::move(authority);
    facts.encrypted_client_hello = encrypted_client_hello;
    facts.port = port;
    facts.dialled = dialled;
    facts.scheme = policy::Scheme::kHttps;
    return facts;
  }
};

}  // namespace soleroute::gateway::ingress
