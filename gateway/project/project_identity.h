// What tells a project's containers from those of every other project on a machine: a name and a network.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace soleroute::gateway::project {

// A project's name for Compose: the folder's name in lower case, digits and hyphens, then a hash of its whole path, so
// that two folders of one name are two projects: "website-1f3a9c". `fallback` stands for a name of other characters.
[[nodiscard]] std::string project_name(std::string_view absolute_folder, std::string_view fallback);
// Does Compose take this for a project's name as it is?
[[nodiscard]] bool is_project_name(std::string_view text);

// "10.B.C" of a /24, from a hash of the path. `attempt` 1, 2, … are further candidates, for where 0 is taken.
[[nodiscard]] std::string project_network(std::string_view absolute_folder, unsigned attempt = 0);
// "10.1.2" of "10.1.2.0/24"; an error for anything but a private IPv4 /24.
[[nodiscard]] base::Result<std::string> network_of(std::string_view cidr);

}  // namespace soleroute::gateway::project
