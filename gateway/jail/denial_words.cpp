// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/denial_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "base/text.h"
#include "gateway/audit/suggestion.h"
#include "policy/decision.h"

namespace soleroute::gateway::jail {
namespace {

using policy::Reason;

constexpr std::size_t kMostDetail = 160;
constexpr std::uint16_t kSshPort = 22;

struct Words {
  Reason reason;
  std::string_view text;
};
constexpr std::array kWords{
    Words{Reason::kHostNotAllowed, "not in the policy"},
    Words{Reason::kHttpsNotPermitted, "the policy allows it over http only"},
    Words{Reason::kSchemeNotPermitted, "the policy allows it over https only"},
    Words{Reason::kNoRuleMatched, "no rule matches this method and path"},
    Words{Reason::kInspectionNeeded, "its rules need a CA, and the gateway has none"},
    Words{Reason::kNameMismatch, "TLS and the request name different hosts"},
    Words{Reason::kInvalidName, "not a valid host name"},
    Words{Reason::kNoSni, "TLS without a host name (SNI)"},
    Words{Reason::kPrivateAddress, "it resolves to a private address"},
    Words{Reason::kQuicRefused, "QUIC is not forwarded; use TCP"},
    Words{Reason::kMalformed, "not valid HTTP or TLS"},
    Words{Reason::kTimedOut, "timed out"},
    Words{Reason::kTooLarge, "request headers are too large"},
    Words{Reason::kUpstreamFailed, "cannot reach the host"},
    Words{Reason::kHeaderNotPermitted, "the request sets a header that the gateway sets"},
    Words{Reason::kOverrideHeader, "a header names another method or path"},
    Words{Reason::kSecretUnavailable, "the secret to send could not be read"},
    Words{Reason::kEchNotPermitted, "the policy forbids encrypted ClientHello (ech: deny)"},
    Words{Reason::kSpecialUseName, "a special-use name, which no host has"},
    Words{Reason::kCertificateRefused, "the client does not trust the gateway's CA"},
    Words{Reason::kDeniedByPolicy, "the policy's deny: has it"},
};

bool has_reason(const audit::DecisionRecord& record, Reason reason) {
  return record.reason == policy::to_string(reason);
}

// The packet log begins its detail with the protocol.
std::string endpoint_words(const audit::DecisionRecord& record) {
  if (record.phase == policy::Phase::kPacket) {
    if (record.detail.starts_with("udp")) return "UDP is not forwarded";
    if (record.detail.starts_with("icmp")) return "ICMP is not forwarded";
    if (!record.detail.starts_with("tcp")) return "this protocol is not forwarded";
  }
  return fmt::format("TCP port {} is not in the policy{}", record.port,
                     record.port == kSshPort ? "; use https, or allow the port" : "");
}

std::string failure_words(const audit::DecisionRecord& record, std::string_view usual) {
  if (has_no_answer(record)) return "no name server answered";
  std::string_view detail = record.detail;
  // "dns type AAAA, what went wrong"
  if (const auto comma = detail.find(", "); detail.starts_with("dns type") && comma != std::string_view::npos) {
    detail.remove_prefix(comma + 2);
  }
  return detail.empty() ? std::string(usual) : base::shown_ascii(detail, kMostDetail);
}

}  // namespace

bool is_failure(const audit::DecisionRecord& record) {
  constexpr std::array kFailures{Reason::kUpstreamFailed, Reason::kTimedOut, Reason::kSecretUnavailable,
                                 Reason::kCertificateRefused};
  return !record.allowed && std::ranges::any_of(kFailures, [&](Reason reason) { return has_reason(record, reason); });
}

bool has_no_answer(const audit::DecisionRecord& record) {
  return record.phase == policy::Phase::kDns && record.detail.contains("no upstream DNS server gave an answer");
}

std::string why_denied(const audit::DecisionRecord& record) {
  if (has_reason(record, Reason::kEndpointNotAllowed)) return endpoint_words(record);
  const auto words = std::ranges::find_if(kWords, [&](const Words& each) { return has_reason(record, each.reason); });
  if (words == kWords.end()) return "denied: " + base::shown_ascii(record.reason, kMostDetail);
  if (words->reason == Reason::kPrivateAddress && !record.resolved.empty()) {
    return fmt::format("{} ({})", words->text, base::shown_ascii(record.resolved, kMostDetail));
  }
  if (words->reason == Reason::kUpstreamFailed) return failure_words(record, words->text);
  return std::string(words->text);
}

std::string why_denied(const audit::DecisionRecord& record, const policy::Policy& policy) {
  std::string out = why_denied(record);
  if (const auto use = audit::optional_use(record, policy)) out += ", " + policy::describe(*use);
  return out;
}

}  // namespace soleroute::gateway::jail
