// Is this process in a container, or on the machine itself?
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

namespace soleroute::gateway::commands {

// What tells a container from a machine.
struct ContainerMarks {
  bool marked = false;                  // an engine left its file, or Kubernetes its variable
  std::vector<std::string> namespaces;  // where /proc/self/ns/{pid,ipc,uts} lead; empty text: could not be read
};
// A mark alone proves nothing: a machine's image may have been made from a container. The kernel numbers the machine's
// first namespaces once and for all, and an engine's containers have others.
[[nodiscard]] bool is_container(const ContainerMarks& marks);

[[nodiscard]] ContainerMarks read_container_marks();

}  // namespace soleroute::gateway::commands
