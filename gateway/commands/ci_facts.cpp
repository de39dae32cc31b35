// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/ci_facts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "base/standard_error.h"
#include "gateway/commands/command.h"

namespace soleroute::gateway::commands {

policy::ReportFacts report_facts() {
  policy::ReportFacts facts;
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  std::array<char, 32> time{};
  const bool known = ::gmtime_r(&now, &utc) != nullptr;
  if (known && std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%S", &utc) > 0) facts.timestamp = time.data();
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) facts.hostname = name.data();
  return facts;
}

policy::PolicyFault file_fault(const std::string& file, const base::Error& error) {
  return {.file = file, .line = 0, .column = 0, .what = error.message, .text = error.message};
}

void report_faults(const policy::PolicyFaults& faults) {
  for (const auto& fault : faults.first) report({.message = fault.text, .kind = base::ErrorKind::kUsage});
  const std::size_t more = faults.count - faults.first.size();
  if (more > 0) base::to_standard_error(fmt::format("… and {} more\n", more));
  if (faults.count > 1) base::to_standard_error(fmt::format("gateway: {} errors\n", faults.count));
}

}  // namespace soleroute::gateway::commands
