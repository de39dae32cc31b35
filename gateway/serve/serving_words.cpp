// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/serving_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "netrules/foreign_capture.h"

namespace soleroute::gateway::serve {
namespace {

constexpr int kMaxWorkers = 16;
constexpr std::size_t kFewConnections = 1000;  // fewer than these deserve a warning

}  // namespace

std::string_view topology_name(const ServeOptions& options) {
  return options.proxy_only ? kProxyTopology : netrules::to_string(options.topology);
}

std::string healthy_where(const ServeOptions& options, const netlink::Interface& inside,
                          const net::ListenPorts& ports) {
  const auto everywhere = base::IpAddress::v6({});
  const auto proxy =
      base::Endpoint{options.explicit_proxy_address.value_or(everywhere), ports.explicit_proxy}.to_string();
  if (options.proxy_only) return "explicit proxy on " + proxy;
  return fmt::format("{} on {}{}", topology_name(options), inside.name.empty() ? "lo" : inside.name,
                     ports.explicit_proxy == 0 ? "" : ", explicit proxy on " + proxy);
}

int worker_count(const ServeOptions& options) {
  const int wanted = options.workers > 0 ? options.workers : static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(wanted, 1, kMaxWorkers);
}

void say_no_rules(const ServeOptions& options, audit::DecisionLog& log) {
  if (options.proxy_only) {
    log.lifecycle("no_rules",
                  "explicit proxy only, no firewall rules: clients that ignore HTTPS_PROXY are not restricted");
  } else if (!options.program_rules) {
    log.lifecycle("no_rules", "--no-rules: traffic is not restricted unless you install the rules");
  }
}

std::vector<std::string> foreign_rule_problems(const std::string& table) {
  auto found = netrules::foreign_captures(table);
  if (!found) return {};  // changed while it was read, or not to be read: nothing is known
  for (auto& line : *found)
    line.insert(0, "agents' connections may fail; another program's rules redirect them first: ");
  return std::move(*found);
}

base::Status check_loopback(const std::vector<netlink::Interface>& interfaces) {
  const bool down = std::ranges::any_of(interfaces, [](const auto& one) { return one.loopback && !one.up; });
  return down ? base::system_error("the loopback interface is down. Run: ip link set lo up") : base::Status{};
}

void say_limits(const workers::Capacity& capacity, audit::DecisionLog& log) {
  const auto text =
      fmt::format("{} file descriptors, {} concurrent connections", capacity.descriptors, capacity.connections);
  if (capacity.connections >= kFewConnections) return log.lifecycle("limits", text);
  log.error(text + "; raise the limit (ulimit -n, or `ulimits:` of the container)");
}

}  // namespace soleroute::gateway::serve
