// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/proxy_status.h"

#include <fmt/format.h>

#include "base/text.h"

namespace soleroute::gateway::http {

std::string_view proxy_error(policy::Reason reason) {
  using policy::Reason;
  switch (reason) {
    case Reason::kPrivateAddress:
      return "destination_ip_prohibited";
    case Reason::kInspectionNeeded:
    case Reason::kSecretUnavailable:
      return "proxy_configuration_error";
    case Reason::kMalformed:
    case Reason::kTooLarge:
    case Reason::kInvalidName:
    case Reason::kTimedOut:
      return "http_request_error";
    case Reason::kUpstreamFailed:
      return "destination_unavailable";
    default:
      return "http_request_denied";
  }
}

std::string_view proxy_error(const flow::DialFailure& failure) {
  using flow::DialFault;
  if (policy::is_refused_address(failure.reason)) return proxy_error(failure.reason);
  switch (failure.fault) {
    case DialFault::kName:
      return "dns_error";
    case DialFault::kRefused:
      return "connection_refused";
    case DialFault::kUnroutable:
      return "destination_ip_unroutable";
    case DialFault::kTimedOut:
      return "connection_timeout";
    case DialFault::kLimit:
      return "connection_limit_reached";
    case DialFault::kTls:
      return "tls_protocol_error";
    case DialFault::kCertificate:
      return "tls_certificate_error";
    case DialFault::kOther:
      break;
  }
  return failure.reason == policy::Reason::kTimedOut ? "connection_timeout" : "destination_unavailable";
}

std::string_view response_error(policy::Reason reason) {
  return reason == policy::Reason::kTimedOut ? "http_response_timeout" : "http_response_incomplete";
}

std::string proxy_status(std::string_view error, std::string_view details) {
  std::string out = fmt::format("gateway; error={}", error);
  if (details.empty()) return out;
  out += "; details=\"";
  for (const char c : base::shown_ascii(details, kMostOfDetails)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string reason_phrase(std::string_view what, std::string_view host) {
  return base::shown_ascii(host.empty() ? std::string(what) : fmt::format("{}: {}", what, host), kMostOfAPhrase);
}

}  // namespace soleroute::gateway::http
