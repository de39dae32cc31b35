// What a key would ask the gateway to allow for a denial.
// Pure functions; the record is not trusted.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>

#include "gateway/audit/decision_log.h"

namespace soleroute::gateway::watch {

// The narrowest item that `gateway allow` takes for it: a host, HOST:PORT, ADDR:PORT, or the URL where the host is
// allowed and only its rules refused the request. It names what was asked for and nothing else: never a service or a
// wildcard, whatever a client writes as its host. Nothing where such an item would not help.
[[nodiscard]] std::optional<std::string> subject_of(const audit::DecisionRecord& refused);

}  // namespace soleroute::gateway::watch
