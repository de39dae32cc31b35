// What the log says about one refused packet. Pure but for asking the policy and reverse names.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "base/byte_reader.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/reverse_names.h"
#include "policy/policy.h"

namespace soleroute::gateway::queue {

// `bytes` are a refused flow's first packet, or as much of it as the kernel copied; one that cannot be read is
// recorded as malformed.
[[nodiscard]] audit::DecisionRecord record_of_packet(base::Bytes bytes, const policy::Policy& policy,
                                                     const dns::ReverseNames& names);

}  // namespace soleroute::gateway::queue
