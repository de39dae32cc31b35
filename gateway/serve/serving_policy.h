// The policy that the options of serving name: files, what stands below them, and what overrules them.
// Reads files; called at start and on each reload.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/serve/options.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

// Its layers in order.
[[nodiscard]] base::Result<std::vector<policy::PolicySource>> read_serving_layers(const ServeOptions& options);
// The same, compiled.
[[nodiscard]] base::Result<std::shared_ptr<const policy::Policy>> load_serving_policy(const ServeOptions& options);
// Its secrets can be read: a policy whose secrets cannot be read is no policy.
[[nodiscard]] base::Status check_servable(const ServeOptions& options, const policy::Policy& policy);
// "policy.yaml: 9 hosts", for the log.
[[nodiscard]] std::string policy_summary(const ServeOptions& options, const policy::Policy& policy);
// The files that count now, as they are named to people.
[[nodiscard]] std::vector<std::string> serving_policy_files(const ServeOptions& options);
// These, and those that would count if they were there.
[[nodiscard]] std::vector<std::string> served_paths(const ServeOptions& options);

}  // namespace soleroute::gateway::serve
