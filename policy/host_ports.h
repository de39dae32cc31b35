// What the entries of a host in `domains:` say about one of its ports.
// Pure; borrows the policy's data.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "policy/policy_data.h"

namespace soleroute::policy {

struct HttpsOnPort {
  HttpsVerdict verdict = HttpsVerdict::kNever;
  Origin origin{};    // the rule that lets https pass uninspected, if one does
  bool open = false;  // a rule admits every https request
};

[[nodiscard]] HttpsOnPort https_on(const Policy::Data& data, const HostRecord& record, std::uint16_t port);
[[nodiscard]] bool has_http_on(const Policy::Data& data, const HostRecord& record, std::uint16_t port);

// Is it the entries that decide this scheme on this port? On http's and https's own always, unless all of them name
// other ports.
[[nodiscard]] bool decides_port(const Policy::Data& data, const HostRecord& record, Scheme scheme, std::uint16_t port);

// Ports at which what `ranges` say begins or ends: between two of them it is the same.
[[nodiscard]] std::vector<std::uint16_t> turning_ports(const Policy::Data& data, const HostRecord& record);

}  // namespace soleroute::policy
