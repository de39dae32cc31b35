// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/plan.h"

#include <string>
#include <utility>

#include "netrules/plan_parts.h"

namespace soleroute::netrules {
namespace {

std::string intent_fault(const Intent& intent) {
  if (intent.topology == Topology::kRouter && intent.inside_interface.empty())
    return "the inside interface is not named";
  if (intent.topology == Topology::kRouter && intent.inside_interface == "lo")
    return "the inside interface must not be lo";
  if (intent.topology == Topology::kSidecar && intent.gateway_mark == 0) return "the gateway's own mark is not set";
  if (intent.topology == Topology::kGuard && intent.gateway_addresses.empty())
    return "the gateway's address is not given";
  return {};
}

std::string listener_fault(const Intent& intent) {
  if (intent.topology == Topology::kGuard) return {};
  const std::uint16_t redirected = intent.redirect_port, dns = intent.dns_port, proxy = intent.explicit_proxy_port;
  if (redirected == 0 || dns == 0) return "a listening port is not known yet";
  if (redirected == dns || redirected == proxy || dns == proxy) return "two listeners have the same port";
  if (intent.udp_port != 0 && intent.udp_port == dns) return "two listeners have the same port";
  for (const std::uint16_t taken : {plan::kHttp, plan::kHttps, plan::kDns}) {
    if (proxy == taken) return "the explicit proxy cannot have port 53, 80 or 443, which are redirected";
  }
  return {};
}

base::Result<Ruleset> checked(Ruleset ruleset) {
  SR_TRY(validate(ruleset));
  return ruleset;
}

}  // namespace
base::Result<Ruleset> closed_rules(const Intent& intent) {
  if (const std::string fault = intent_fault(intent); !fault.empty()) return base::system_error("no rules: " + fault);
  switch (intent.topology) {
    case Topology::kRouter:
      return checked(plan::closed_router(intent));
    case Topology::kSidecar:
    case Topology::kJail:
      return checked(plan::closed_local(intent));
    case Topology::kGuard:
      return checked(plan::closed_guard(intent));
  }
  return base::system_error("no rules: unknown topology");
}

base::Result<Ruleset> open_rules(const Intent& intent) {
  if (const std::string fault = intent_fault(intent); !fault.empty()) return base::system_error("no rules: " + fault);
  if (const std::string fault = listener_fault(intent); !fault.empty()) return base::system_error("no rules: " + fault);
  switch (intent.topology) {
    case Topology::kRouter:
      return checked(plan::open_router(intent));
    case Topology::kSidecar:
    case Topology::kJail:
      return checked(plan::open_local(intent));
    case Topology::kGuard:
      return checked(plan::open_guard(intent));
  }
  return base::system_error("no rules: unknown topology");
}

}  // namespace soleroute::netrules
