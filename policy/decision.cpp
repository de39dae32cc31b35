// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/decision.h"

#include <fmt/format.h>

namespace soleroute::policy {

std::string place_of(const SourceLine& line) {
  return line.line == 0 ? std::string{} : fmt::format("{}:{}", line.file, line.line);
}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::kAllowed:
      return "host_allowed";
    case Reason::kRequestRuleMatched:
      return "request_rule_matched";
    case Reason::kEndpointAllowed:
      return "endpoint_allowed";
    case Reason::kHostNotAllowed:
      return "host_not_allowed";
    case Reason::kHttpsNotPermitted:
      return "https_not_permitted";
    case Reason::kSchemeNotPermitted:
      return "scheme_not_permitted";
    case Reason::kNoRuleMatched:
      return "no_rule_matched";
    case Reason::kInspectionNeeded:
      return "inspection_needed";
    case Reason::kNameMismatch:
      return "name_mismatch";
    case Reason::kInvalidName:
      return "invalid_name";
    case Reason::kNoSni:
      return "no_sni";
    case Reason::kEndpointNotAllowed:
      return "endpoint_not_allowed";
    case Reason::kPrivateAddress:
      return "private_address";
    case Reason::kQuicRefused:
      return "quic_refused";
    case Reason::kMalformed:
      return "malformed";
    case Reason::kTimedOut:
      return "timed_out";
    case Reason::kTooLarge:
      return "too_large";
    case Reason::kUpstreamFailed:
      return "upstream_failed";
    case Reason::kHeaderNotPermitted:
      return "header_not_permitted";
    case Reason::kOverrideHeader:
      return "override_header";
    case Reason::kSecretUnavailable:
      return "secret_unavailable";
    case Reason::kEchNotPermitted:
      return "ech_not_permitted";
    case Reason::kSpecialUseName:
      return "special_use_name";
    case Reason::kCertificateRefused:
      return "certificate_refused";
    case Reason::kDeniedByPolicy:
      return "denied_by_policy";
  }
  return "unknown";
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::kDns:
      return "dns";
    case Phase::kTls:
      return "tls";
    case Phase::kHttp:
      return "http";
    case Phase::kConnect:
      return "connect";
    case Phase::kPacket:
      return "packet";
  }
  return "unknown";
}

std::string_view to_string(Scheme scheme) {
  switch (scheme) {
    case Scheme::kNone:
      return "";
    case Scheme::kHttp:
      return "http";
    case Scheme::kHttps:
      return "https";
  }
  return "";
}

}  // namespace soleroute::policy
