// The jail's first process: prepares the inside, waits for the word to go, drops to its user, runs the command,
// and reaps what it leaves. When it ends, the kernel ends everything in its PID namespace.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/jail/channel.h"
#include "gateway/jail/credentials.h"
#include "gateway/jail/mounts.h"
#include "gateway/jail/namespaces.h"
#include "gateway/jail/process_state.h"

namespace soleroute::gateway::jail {

struct InsidePlan {
  NamespaceSet namespaces;
  Identity identity;
  MountPlan mounts;                      // and those of the trust that is told of later (kTrust)
  std::vector<std::string> command;      // never empty
  std::vector<std::string> environment;  // likewise
  SignalState signals;                   // what the command gets back
  // Over it the outside asks for TCP sockets in the jail's network (kSocket), to reach servers of the command; closed:
  // it never does. The command has no part in it.
  Channel socket_requests{};
  // Runs inside, with every capability over the new namespaces, while the outside works out what is to be trusted:
  // links, rules, listeners. Its message's text and descriptors go to the outside.
  std::function<base::Result<Message>()> prepare;
};

// Never returns. `channel` is the only tie to the gateway: when it breaks, the jail ends.
[[noreturn]] void run_inside(InsidePlan plan, Channel channel) noexcept;

}  // namespace soleroute::gateway::jail
