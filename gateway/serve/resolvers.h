// The upstream DNS servers of a gateway: those of --resolver, and the machine's for names outside all their suffixes.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/dns/upstreams.h"
#include "gateway/workers/runtime.h"

namespace soleroute::gateway::serve {

// An error if the machine's are needed and there are none. `dispensable`: names need not resolve here, because an
// upstream proxy does that, or because nothing is asked; then it is no error, and what is asked fails at once.
[[nodiscard]] base::Result<std::vector<dns::Upstream>> resolvers_of(std::vector<dns::Upstream> given,
                                                                    bool dispensable = false);
// Warnings of the status, and what upstream servers lately did wrong.
[[nodiscard]] std::vector<std::string> with_faults(std::vector<std::string> warnings, const workers::Runtime& runtime);

}  // namespace soleroute::gateway::serve
