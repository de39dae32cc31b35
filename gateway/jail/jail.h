// `gateway run`: one command in a network without a cable, the gateway outside as its only way out.
// Called once, before any thread is started: it forks.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/upstreams.h"
#include "gateway/flow/upstream_proxy.h"
#include "gateway/jail/published.h"
#include "gateway/jail/run_report.h"
#include "policy/nat64.h"
#include "policy/policy.h"

namespace soleroute::gateway::jail {

// kOnDenial: a few lines where the command failed and something was denied; on a terminal the whole, in any case.
enum class Summary : std::uint8_t { kOnDenial, kAlways, kNever };

// What becomes of the decisions of a run: a policy that would have allowed what was denied. Plain functions, called on
// any thread, and at the end on the caller's.
struct PolicyLearner {
  std::function<void(const audit::DecisionRecord&)> take;
  // The text of a policy file; `layers` is the policy that the run was under.
  std::function<base::Result<std::string>(const std::vector<policy::PolicySource>& layers)> text;
};

struct JailOptions {
  std::vector<std::string> command;          // the program and its arguments; never empty
  std::vector<std::string> policy_files;     // layers; none: the default file if it is there, else everything is denied
  std::vector<dns::Upstream> resolvers;      // none for names outside all suffixes: those of this machine
  std::vector<policy::Nat64Prefix> nat64{};  // of this network
  std::vector<std::string> trust_files;      // PEM: further roots, for the command and for origins of inspected hosts
  std::string ca_directory;               // where the CA is kept, hidden from the command; empty: a new one, in memory
  std::vector<std::string> unix_sockets;  // of the host, that stay reachable
  std::string decisions_file;             // JSON lines are appended to it; empty: none
  std::uint16_t explicit_proxy_port = 0;  // inside; 0: off
  int workers = 0;                        // 0: one a processor, at most kMaxJailWorkers
  Summary summary = Summary::kOnDenial;
  SummaryFormat summary_format = SummaryFormat::kText;  // of summary_file; without one, on stderr
  bool colour = false;                                  // in what is written to stderr
  audit::Verbosity log = audit::Verbosity::kNormal;
  std::string secrets_directory{};         // hidden from the command; empty: none
  std::string allowed{};                   // a layer of policy over the files; empty: none
  std::optional<policy::Mode> mode{};      // over what the files say
  std::string summary_file{};              // empty: none
  std::vector<PublishedPort> published{};  // servers of the command, reached from outside
  std::string save_file{};                 // where `learner` writes; empty: nowhere
  PolicyLearner learner{};
  std::optional<flow::UpstreamProxy> upstream_proxy{};  // asked for everything outside; absent: origins are dialled
  std::string upstream_password_file{};                 // hidden from the command; empty: none
  std::string upstream_variable{};                      // the proxy was found in it; empty: an option named it
  std::string version{};                                // of the program
  std::chrono::milliseconds ask{0};                     // what is denied waits so long for an operator; 0: not at all
  std::string ask_command{};                            // asked about it, for a shell; empty: none
  std::vector<std::string> skipped_exceptions{};        // of NO_PROXY, of a form that is not understood
};

inline constexpr int kMaxJailWorkers = 4;  // one command, not a fleet

// Returns when the command and everything it left have ended. Its exit status: its own, 128 and the signal that ended
// it, 127 or 126 where it could not be executed. Errors: kUsage for policy and options, kSystem for what this machine
// cannot do or forbids; then the command has not run.
[[nodiscard]] base::Result<int> run_in_jail(const JailOptions& options);

}  // namespace soleroute::gateway::jail
