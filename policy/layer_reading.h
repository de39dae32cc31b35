// Reads the texts of a policy's layers.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/policy.h"
#include "policy/policy_document.h"

namespace soleroute::policy {

using Documents = std::vector<base::Result<PolicyDocument>>;

// `texts` gets the cleaned texts, one for each layer. `faults` is empty, or a list for each layer.
[[nodiscard]] Documents read_layers(std::span<const PolicySource> layers, std::vector<std::string>& texts,
                                    std::vector<PolicyFaults>& faults);

// A whole file for one agent becomes an entry of `agents:`.
[[nodiscard]] base::Result<PolicyDocument> layer_of(const PolicySource& source, PolicyDocument read);

}  // namespace soleroute::policy
