// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/resolvers.h"

#include <cstdint>

#include "gateway/host/system_resolvers.h"

namespace soleroute::gateway::serve {

base::Result<std::vector<dns::Upstream>> resolvers_of(std::vector<dns::Upstream> given, bool dispensable) {
  constexpr std::uint16_t kDefaultDnsPort = 53;
  if (dns::has_general(given)) return given;
  auto of_machine = host::system_resolvers();
  if (!of_machine && !dispensable) return std::unexpected(of_machine.error());
  if (!of_machine) of_machine = std::vector<base::Endpoint>{{base::IpAddress::v4({127, 0, 0, 1}), kDefaultDnsPort}};
  given.insert(given.end(), of_machine->begin(), of_machine->end());
  return given;
}

std::vector<std::string> with_faults(std::vector<std::string> warnings, const workers::Runtime& runtime) {
  const auto faults = runtime.resolver_faults();
  warnings.insert(warnings.end(), faults.begin(), faults.end());
  return warnings;
}

}  // namespace soleroute::gateway::serve
