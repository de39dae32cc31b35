// The version and the commit that was built, "0.1.0 (4f2a91c)". cmake/version.cmake writes the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>

namespace soleroute::gateway::commands {

[[nodiscard]] std::string_view version_and_commit();

}  // namespace soleroute::gateway::commands
