// What the kernel tests stand on: network namespaces of their own, programs run inside them, intents to try.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "netrules/plan.h"

namespace soleroute::netrules::testing {

// Enters a user namespace (once) so that the tests need no root, and a fresh network namespace. Empty when it worked,
// else the reason why no test can run here.
[[nodiscard]] std::string enter_fresh_namespace();

// A further network namespace; the calling thread stays where it is.
[[nodiscard]] base::Fd make_namespace();
[[nodiscard]] base::Fd current_namespace();
// Runs `body` inside, then returns to where the thread was.
void inside(const base::Fd& network_namespace, const std::function<void()>& body);

struct Outcome {
  int status = -1;  // exit status
  std::string out;
  std::string err;
};
// Runs a program found in PATH, /usr/sbin or /sbin; no shell.
[[nodiscard]] Outcome run(const std::vector<std::string>& command, std::string_view input = {});
// One line of `ip` arguments; fails the test when ip fails.
void ip(const std::string& arguments);

// "ipv4/ip_forward=1", in the network namespace of the calling thread.
void set_sysctl(const std::string& setting);
// A virtual cable from here into another namespace.
void add_veth(const std::string& here, const std::string& there, const base::Fd& network_namespace);

struct NamedIntent {
  std::string name;  // also the golden file's
  Intent intent;
  bool open = true;
};
// Every topology, closed, open and observing, with queues, endpoints, both families.
[[nodiscard]] std::vector<NamedIntent> all_intents();
[[nodiscard]] Ruleset rules_of(const NamedIntent& named);
[[nodiscard]] Intent intent_for(Topology topology);

}  // namespace soleroute::netrules::testing
