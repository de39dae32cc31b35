// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/policy_input.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/standard_error.h"
#include "gateway/host/policy_files.h"

namespace soleroute::gateway::commands {

base::Result<std::shared_ptr<const policy::Policy>> load_policy_or_default(const std::vector<std::string>& files) {
  if (!files.empty()) return host::load_policy(files);
  const auto found = host::find_default_policy("");
  if (found) return host::load_policy(std::vector<std::string>{*found});
  base::to_standard_error("gateway: no policy file, so everything is denied; name one with --policy\n");
  return policy::Policy::compile({});
}

}  // namespace soleroute::gateway::commands
