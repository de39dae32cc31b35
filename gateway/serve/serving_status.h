// What a serving gateway answers to "status".
// A plain value and a pure function.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/audit/counters.h"
#include "gateway/workers/runtime.h"

namespace soleroute::gateway::serve {

struct ServingStatus {
  std::string health{};
  std::vector<std::string> warnings{};
  std::string version{};
  std::chrono::seconds uptime{};
  std::string topology{};
  std::string inside{};
  std::string upstream_proxy{};
  std::vector<std::string> policy_files{};
  std::size_t hosts = 0;
  std::uint64_t policy_version = 0;
  std::chrono::seconds policy_age{};   // since its files were read
  std::string_view policy_read_why{};  // "start", "request", "change"
  std::vector<std::size_t> behind{};   // workers, as `stalled`
  std::string allowed = "[]";          // entries added while it runs: JSON
  std::size_t held = 0;                // requests that wait for an operator
  std::size_t workers = 0;
  std::vector<std::size_t> stalled{};
  workers::Capacity capacity{};
  std::string rules{};
  std::vector<std::string> differences{};
};

// One JSON object, as gateway/serve/control_socket.h lists it.
[[nodiscard]] std::string to_json(const ServingStatus& status, const audit::Counters& counters);

}  // namespace soleroute::gateway::serve
