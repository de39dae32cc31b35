// What `deny:` says, in words.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "policy/policy.h"

namespace soleroute::policy {

// A line for each entry: "deny ads.test and its subdomains: everything", with file and line if `with_places`.
[[nodiscard]] std::string denials_text(const Policy& policy, bool with_places);

// What an entry denies that is probably not meant, or does not deny, one sentence each with its place.
[[nodiscard]] std::vector<std::string> denial_warnings(const Policy& policy);

}  // namespace soleroute::policy
