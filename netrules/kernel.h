// The kernel's nftables as this program needs it: probe, apply one table in one transaction, read it back.
// Not thread-safe. The real one speaks to the network namespace of the calling thread; the in-memory one serves tests.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "netrules/ruleset.h"

namespace soleroute::netrules {

struct Features {
  bool nat_redirect = false;  // required
  bool reject = false;        // required
  bool inet_family = false;   // required
  bool fib = false;           // required: is this address local, is there a route back
  bool native_queue = false;  // nft `queue` expression
  bool compat_queue = false;  // xtables NFQUEUE through nft_compat
  bool ipv6 = false;          // this namespace has IPv6
  // Empty when serving is possible; else one line for each missing thing, with the fix.
  [[nodiscard]] std::vector<std::string> missing() const;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  // Tries each expression in a scratch table within an aborted or removed transaction; leaves nothing behind.
  [[nodiscard]] virtual base::Result<Features> probe() = 0;
  // Replaces the ruleset's own table, whole, in one transaction. Other tables are never touched.
  [[nodiscard]] virtual base::Status apply(const Ruleset& ruleset) = 0;
  // Removes the own table if it is there.
  [[nodiscard]] virtual base::Status remove(const std::string& table) = 0;
  // Is there a table of ours that holds back what would be forwarded? An empty or dormant one does not.
  [[nodiscard]] virtual base::Result<bool> holds(const std::string& table) = 0;
  // Is there a table of this name at all?
  [[nodiscard]] virtual base::Result<bool> exists(const std::string& table) = 0;
  // Differences between intent and kernel, one line each; empty when equal.
  [[nodiscard]] virtual base::Result<std::vector<std::string>> difference(const Ruleset& intended) = 0;
};

[[nodiscard]] std::unique_ptr<Kernel> make_kernel();  // libnftnl, this namespace

// probe() from a child process in a user and network namespace of its own: for --dry-run and others who have no
// privilege. An error where user namespaces are forbidden. Forks: call it before threads are started.
[[nodiscard]] base::Result<Features> probe_in_scratch_namespace();
[[nodiscard]] std::unique_ptr<Kernel> make_in_memory_kernel();  // tests and --dry-run

}  // namespace soleroute::netrules
