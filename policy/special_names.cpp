// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/special_names.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace soleroute::policy {
namespace {

struct Domain {
  std::string_view name;
  SpecialName kind;
};

// The first that covers a name tells its kind.
constexpr std::array kDomains{
    Domain{"use-application-dns.net", SpecialName::kNoDoh},
    Domain{"localhost", SpecialName::kLoopback},     // RFC 6761 section 6.3
    Domain{"invalid", SpecialName::kNever},          // RFC 6761 section 6.4
    Domain{"onion", SpecialName::kNever},            // RFC 7686
    Domain{"alt", SpecialName::kNever},              // RFC 9476
    Domain{"in-addr.arpa", SpecialName::kReverse},   // RFC 1035
    Domain{"ip6.arpa", SpecialName::kReverse},       // RFC 3596
    Domain{"resolver.arpa", SpecialName::kReverse},  // RFC 9462: other resolvers
    Domain{"service.arpa", SpecialName::kReverse},   // RFC 9665
    Domain{"ipv4only.arpa", SpecialName::kReverse},  // RFC 8880: the gateway asks for it itself
    Domain{"arpa", SpecialName::kLocal},             // home.arpa (RFC 8375)
    Domain{"local", SpecialName::kLocal},            // RFC 6762, and the domains of Kubernetes clusters
    Domain{"internal", SpecialName::kLocal},         // ICANN's private-use domain: container engines, clouds
};

bool is_in(const base::HostName& name, std::string_view domain) {
  return name.text() == domain || name.is_below(domain);
}

}  // namespace

SpecialName special_name(const base::HostName& name) {
  if (name.text() == "gateway.internal") return SpecialName::kGateway;
  const auto found = std::ranges::find_if(kDomains, [&](const Domain& domain) { return is_in(name, domain.name); });
  if (found != kDomains.end()) return found->kind;
  return name.parent().empty() ? SpecialName::kLocal : SpecialName::kNone;
}

bool is_never_forwarded(SpecialName kind) {
  return kind == SpecialName::kNoDoh || kind == SpecialName::kReverse || kind == SpecialName::kLoopback ||
         kind == SpecialName::kNever;
}

std::string never_forwarded_sentence(const base::HostName& name) {
  switch (special_name(name)) {
    case SpecialName::kLoopback:
      return name.text() +
             " is the client itself: DNS answers 127.0.0.1 and ::1, and nothing goes through the gateway.";
    case SpecialName::kReverse:
      return name.text() + " is for reverse lookups and resolver discovery: no host has this name.";
    case SpecialName::kNoDoh:
      return name.text() + " never resolves here: that tells browsers not to use DNS over HTTPS.";
    default:
      return name.text() + " is a special-use name that never resolves.";
  }
}

}  // namespace soleroute::policy
