// What is asked of a policy and what it answers: the facts of one flow in, one decision out.
// Plain values; no I/O, no clock.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "policy/header_transform.h"
#include "policy/override_header.h"

namespace soleroute::policy {

enum class Phase : std::uint8_t { kDns, kTls, kHttp, kConnect, kPacket };
enum class Scheme : std::uint8_t { kNone, kHttp, kHttps };
enum class Transport : std::uint8_t { kTcp, kUdp, kIcmp, kOther };

// Facts gathered so far. What is not known yet is absent; a deny never turns into an allow as facts grow.
// Borrows its strings for the call.
struct FlowFacts {
  Phase phase = Phase::kDns;
  Transport transport = Transport::kTcp;
  base::IpAddress client{};
  std::optional<base::Endpoint> original_destination{};  // where the client's packet was going
  std::optional<base::IpAddress> translated{};           // what a NAT64 translator makes of that address
  std::optional<base::HostName> sni{};                   // from a TLS ClientHello
  std::optional<base::HostName> host{};                  // asked name: DNS QNAME, Host header, CONNECT authority
  std::optional<base::IpAddress> host_address{};         // an address that stands where a request names its host
  std::uint16_t port = 0;                                // destination port; 0 for DNS questions
  Scheme scheme = Scheme::kNone;
  bool opaque = false;                  // what was said is neither HTTP nor TLS
  bool encrypted_client_hello = false;  // the TLS ClientHello carries one (RFC 9849), or a GREASE that looks the same
  std::optional<std::string_view> method{};
  std::optional<std::string_view> target{};  // origin-form "path?query", as the client sent it
  OverrideHeaders overrides{};               // that the request brings
  std::optional<base::IpAddress> dialled{};  // where the gateway's own connection leads, if it goes to that address
  // For endpoints: names whose answers held original_destination. On ports 80 and 443 those that this client was given.
  std::span<const base::HostName> resolved_names{};
};

enum class Action : std::uint8_t { kDeny, kAllow };

enum class Reason : std::uint8_t {
  kAllowed,             // host_allowed            host entry without rules
  kRequestRuleMatched,  // request_rule_matched
  kEndpointAllowed,     // endpoint_allowed
  kHostNotAllowed,      // host_not_allowed
  kHttpsNotPermitted,   // https_not_permitted     the host's rules list no https
  kSchemeNotPermitted,  // scheme_not_permitted
  kNoRuleMatched,       // no_rule_matched
  kInspectionNeeded,    // inspection_needed       https rules need a method or path, and the gateway has no CA
  kNameMismatch,        // name_mismatch           SNI, Host or CONNECT authority disagree
  kInvalidName,         // invalid_name
  kNoSni,               // no_sni
  kEndpointNotAllowed,  // endpoint_not_allowed    address and port not in endpoints
  kPrivateAddress,      // private_address         name resolves to non-public addresses only
  kQuicRefused,         // quic_refused
  kMalformed,           // malformed               not the protocol it should be
  kTimedOut,            // timed_out
  kTooLarge,            // too_large
  kUpstreamFailed,      // upstream_failed         allowed, but resolving, dialling or verifying failed
  kHeaderNotPermitted,  // header_not_permitted    the request brings a header that the gateway is to set
  kOverrideHeader,      // override_header         a header names another method or path than the rule would admit
  kSecretUnavailable,   // secret_unavailable      allowed, but the secret to send with it cannot be read
  kEchNotPermitted,     // ech_not_permitted       the ClientHello has an encrypted one inside, and `ech: deny`
  kSpecialUseName,      // special_use_name        such a name is never resolved or forwarded, whatever is listed
  kCertificateRefused,  // certificate_refused     the client does not trust the gateway's CA
  kDeniedByPolicy,      // denied_by_policy        an entry of `deny:`
};
// The text of the log's and the header's reason, as in the comments above.
[[nodiscard]] std::string_view to_string(Reason reason);
// The policy says itself that this is denied, and no origin was asked: a page can say which line it was.
[[nodiscard]] inline bool is_refused_address(Reason reason) {
  return reason == Reason::kPrivateAddress || reason == Reason::kDeniedByPolicy;
}
[[nodiscard]] std::string_view to_string(Phase phase);
[[nodiscard]] std::string_view to_string(Scheme scheme);

enum class Treatment : std::uint8_t { kPassThrough, kInspect };

struct SourceLine {
  std::string_view file;  // borrowed from the policy that decided
  int line = 0;           // 1-based; 0: none
};
// "policy.yaml:12", as it stands in logs; empty where there is no line.
[[nodiscard]] std::string place_of(const SourceLine& line);

class DeniedAddresses;  // policy/deny_table.h

// Borrows from the policy (and lives no longer than its snapshot).
struct Decision {
  Action action = Action::kDeny;
  Reason reason = Reason::kHostNotAllowed;
  Treatment treatment = Treatment::kPassThrough;
  std::string_view matched_host{};                    // the entry as written ("*.example.com"), empty if none
  SourceLine rule{};                                  // the entry or rule that decided
  std::span<const base::Cidr> permitted_addresses{};  // non-public addresses this entry lists
  std::span<const base::IpAddress>
      static_addresses{};                         // of the allowed name, by `hosts:`: listed as if by `addresses:`
  bool txt = false;                               // of a DNS question: TXT records may be fetched
  std::span<const std::string> admitted_alpn{};   // protocols besides HTTP that TLS may be for
  bool request_rules_pending = false;             // allowed so far, but method or path still to be decided
  std::span<const HeaderTransform> transforms{};  // to apply; only for an allowed, inspected https request
  bool by_method = false;                         // the rule that admits is about methods, or one that denies
  bool by_path = false;                           // likewise about paths or queries
  std::string_view override_header{};  // with kOverrideHeader, or of what an entry of `deny:` may mean: static text
  bool deny_pending = false;           // an entry of `deny:` is about some requests of this flow, maybe about this one
  bool denies_some = false;            // an entry of `deny:` is about some requests on this port, whichever this one is
  const DeniedAddresses* denied_addresses = nullptr;  // that no connection may lead to; null: none
  bool local_name = false;                            // denied, and never passed because the mode is observe
  std::optional<base::IpAddress> refused_address{};   // a private one that the name resolves to
  const base::HostName* endpoint_name = nullptr;      // the one of the flow's resolved names that decided; borrowed

  [[nodiscard]] bool allowed() const { return action == Action::kAllow; }
};

}  // namespace soleroute::policy
