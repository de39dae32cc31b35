// The denials that `gateway verify` causes on purpose: kept in the log, marked "probe":true, and left out of everything
// that tells people what was denied.
// Pure functions.
//
// A probe cannot prove where it comes from: verify runs with the rights of the agent, and what it could hold, the agent
// could hold. So a probe is known by its shape, and the shapes are such that hiding them hides nothing: each is a
// denied attempt that, had it passed, would have reached nobody and carried nothing. The name exists nowhere
// (RFC 2606), the addresses are documentation (RFC 5737, RFC 3849), the path exists on no metadata service, and no
// other part of the record is free. An agent that sends them gets its denials marked, and keeps them in the log. A
// name below the probe's, another path or method, another port, and everything that was allowed are never marked.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ip_address.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"

namespace soleroute::gateway::audit {

inline constexpr std::string_view kProbeName = "verify.soleroute.example";
inline constexpr std::string_view kProbePath = "/gateway-verify";
inline constexpr std::uint16_t kProbePort = 9999;  // neither HTTP, TLS nor DNS

[[nodiscard]] base::IpAddress probe_v4();
[[nodiscard]] base::IpAddress probe_v6();
[[nodiscard]] base::IpAddress metadata_v4();

[[nodiscard]] bool is_probe(const DecisionRecord& record);

// Into decisions_allowed, decisions_denied or probes_denied.
void count_decision(Counters& counters, const DecisionRecord& record);

}  // namespace soleroute::gateway::audit
