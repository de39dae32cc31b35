// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/host_path.h"

#include <vector>

#include "base/mount_info.h"

namespace soleroute::gateway::project {

std::optional<std::string> path_on_the_machine(std::string_view folder, std::string_view mountinfo) {
  const std::vector<base::Mount> mounts = base::parse_mount_info(mountinfo);
  const base::Mount* nearest = base::mount_of(folder, mounts);
  if (nearest == nullptr || nearest->point == "/") return std::string(folder);
  if (nearest->root == "/") return std::nullopt;
  if (nearest->point.ends_with(nearest->root)) return std::string(folder);
  return nearest->root + std::string(folder.substr(nearest->point.size()));
}

}  // namespace soleroute::gateway::project
