// What `gateway explain` does once the policy is compiled: questions in, decisions out.
// Single-threaded; streams are borrowed for the call.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "policy/policy.h"

namespace soleroute::gateway::commands {

enum class ExplainFormat { kText, kJson };

// What the system's resolver says; an error if it does not answer.
using AddressesOf = std::function<base::Result<std::vector<base::IpAddress>>(const std::string& host)>;

struct ExplainOptions {
  std::vector<std::string> urls;
  std::string method = "GET";
  std::vector<std::string> headers{};  // names of those that the request brings
  ExplainFormat format = ExplainFormat::kText;
  AddressesOf addresses_of{};  // null: names are not resolved
};

// Longer input lines are answered with an error, and skipped.
inline constexpr std::size_t kMaxExplainLine = std::size_t{1} << 20;

// Each of options.urls. Exit code 0 if all are allowed, 1 if one is not.
[[nodiscard]] int explain_urls(const ExplainOptions& options, const policy::Policy& policy, std::ostream& out);

// One JSON object a line: {"url": …, "method": …} or {"host": …, "port": …, "protocol": "tcp"}; one answer a line, in
// order. Lines that are no such object are answered with "type": "error" and make the exit code 2.
[[nodiscard]] int explain_lines(const ExplainOptions& options, const policy::Policy& policy, std::istream& in,
                                std::ostream& out);

}  // namespace soleroute::gateway::commands
