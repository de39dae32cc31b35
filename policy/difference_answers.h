// What DNS says of a name under two policies, and which protocols besides HTTP its TLS may be for.
// Pure; for policy/difference.cpp alone.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "policy/difference_words.h"
#include "policy/policy.h"

namespace soleroute::policy {

// Adds addresses, TXT records and protocols that only one of the policies gives the name.
void compare_answers(const Policy& before, const Policy& after, const base::HostName& name, Found& found);
// `addresses:` of the whole policy.
[[nodiscard]] std::vector<base::Cidr> listed_of(const Policy::Data& data);

}  // namespace soleroute::policy
