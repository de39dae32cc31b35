// What a serving gateway says of itself and of its machine, in the log and in its status.
// Free functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/audit/decision_log.h"
#include "gateway/net/listen.h"
#include "gateway/netlink/links.h"
#include "gateway/serve/options.h"
#include "gateway/workers/runtime.h"

namespace soleroute::gateway::serve {

[[nodiscard]] std::string_view topology_name(const ServeOptions& options);
// "router on eth0, explicit proxy on [::]:8080"
[[nodiscard]] std::string healthy_where(const ServeOptions& options, const netlink::Interface& inside,
                                        const net::ListenPorts& ports);
// Rules of other programs in the kernel that come before this table's, a sentence each.
[[nodiscard]] std::vector<std::string> foreign_rule_problems(const std::string& table);
// kSystem if the loopback interface is down.
[[nodiscard]] base::Status check_loopback(const std::vector<netlink::Interface>& interfaces);
// That there are none, if so.
void say_no_rules(const ServeOptions& options, audit::DecisionLog& log);
// Of the threads that serve.
[[nodiscard]] int worker_count(const ServeOptions& options);
// How many connections fit; an error of the log if they are few.
void say_limits(const workers::Capacity& capacity, audit::DecisionLog& log);

}  // namespace soleroute::gateway::serve
