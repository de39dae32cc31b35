// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/container_marks.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace soleroute::gateway::commands {

bool is_container(const ContainerMarks& marks) {
  // Linux, include/linux/proc_ns.h: PROC_PID_INIT_INO, PROC_IPC_INIT_INO, PROC_UTS_INIT_INO.
  constexpr std::array<std::string_view, 3> kFirst{"pid:[4026531836]", "ipc:[4026531839]", "uts:[4026531838]"};
  return marks.marked && std::ranges::any_of(marks.namespaces, [&](const std::string& one) {
           return std::ranges::find(kFirst, one) == kFirst.end();
         });
}

ContainerMarks read_container_marks() {
  ContainerMarks found;
  found.marked = ::access("/.dockerenv", F_OK) == 0 || ::access("/run/.containerenv", F_OK) == 0 ||
                 std::getenv("KUBERNETES_SERVICE_HOST") != nullptr;
  for (const char* link : {"/proc/self/ns/pid", "/proc/self/ns/ipc", "/proc/self/ns/uts"}) {
    std::array<char, 64> text{};
    const ssize_t size = ::readlink(link, text.data(), text.size());
    found.namespaces.emplace_back(text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  }
  return found;
}

}  // namespace soleroute::gateway::commands
