// Where a project's folder is on the machine, asked from inside a container that has it mounted.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace soleroute::gateway::project {

// The path that names `folder` (absolute, canonical) outside this container, from the text of /proc/self/mountinfo:
// - the folder is on the container's own file system: its path here;
// - it is mounted at the path that it has outside: its path here;
// - else the path within the mounted file system, which tells folders apart and ends with the folder's name.
// nullopt: a whole file system is mounted, or an engine's virtual machine hides the path.
[[nodiscard]] std::optional<std::string> path_on_the_machine(std::string_view folder, std::string_view mountinfo);

}  // namespace soleroute::gateway::project
