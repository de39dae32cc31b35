// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/explanation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "policy/host_pattern.h"
#include "policy/optional_hosts.h"
#include "policy/policy_data.h"

namespace soleroute::policy {
namespace {

// What the flow was for, in characters that cannot forge anything: names and addresses are canonical values.
std::string subject(const FlowFacts& facts) {
  if (facts.phase == Phase::kTls && facts.sni) return facts.sni->text();
  if (facts.host) return facts.host->text();
  if (facts.sni) return facts.sni->text();
  if (facts.host_address) return facts.host_address->to_string();
  return facts.original_destination ? facts.original_destination->address.to_string() : "unknown";
}

std::string no_endpoint_sentence(const FlowFacts& facts) {
  const auto port =
      facts.phase == Phase::kPacket && facts.original_destination ? facts.original_destination->port : facts.port;
  switch (facts.transport) {
    case Transport::kTcp:
      return fmt::format("No endpoint of the policy allows TCP port {} there.", port);
    case Transport::kUdp:
      return "UDP is not forwarded; only DNS is answered, by the gateway itself.";
    case Transport::kIcmp:
      return "ICMP is never forwarded.";
    case Transport::kOther:
      break;
  }
  return "This protocol is never forwarded.";
}

std::string mismatch_sentence(const FlowFacts& facts) {
  if (!facts.sni || !facts.host) return "The names of this connection disagree.";
  return fmt::format("The names of this connection disagree: TLS names {}, the request names {}.", facts.sni->text(),
                     facts.host->text());
}

std::string no_rule_sentence(const FlowFacts& facts) {
  std::string out = "The policy allows this host, but none of its rules allows this request.";
  if (facts.target && !parse_target(*facts.target).path) {
    out += " Its path can be read in more than one way, so no rule with a path matches it.";
  }
  return out;
}

std::string inspection_sentence(const Policy& policy, const FlowFacts& facts) {
  const auto& name = facts.phase == Phase::kTls ? facts.sni : facts.host;
  const auto* record = name ? policy.data().record(policy.data().table.find(name->text())) : nullptr;
  if (record != nullptr && record->inspect_wanted) {
    return "The policy wants https to this host inspected, and this gateway has no CA to do it with.";
  }
  return "The rules for this host look inside https requests, and this gateway has no CA to do it with.";
}

std::string joined(std::span<const HeaderTransform> transforms, std::string HeaderTransform::* part) {
  std::string out;
  for (const auto& transform : transforms) out += (out.empty() ? "" : " and ") + transform.*part;
  return out.empty() ? "a header" : out;
}

const HostRecord* matched_record(const Policy& policy, const Decision& decision) {
  const bool wildcard = decision.matched_host.starts_with(kStar);
  const auto name = decision.matched_host.substr(wildcard ? kStar.size() : 0);
  const auto* entry = policy.data().table.entry(name);
  if (entry == nullptr) return nullptr;
  const auto index = wildcard ? entry->wildcard : entry->exact;
  return index == HostTable::kNone ? nullptr : &policy.data().records[index];
}

std::string rules_text(const Policy& policy, const HostRecord& record) {
  constexpr std::size_t kMostShown = 20;
  const auto rules = policy.data().rules_of(record);
  if (rules.empty()) return {};
  std::string out = fmt::format("Rules for {}:\n", record.pattern);
  for (const auto& rule : rules.first(std::min(rules.size(), kMostShown))) {
    out += fmt::format("  {}  ({})\n", describe(rule.terms), base::shown(place_of(policy.data().line(rule.origin))));
  }
  if (rules.size() > kMostShown) out += fmt::format("  and {} more\n", rules.size() - kMostShown);
  return out + "\n";
}

// " To allow it, add to policy.yaml: domains: [a.test]", where the lines are a heading and one item of one line.
std::string remedy(std::string_view lines) {
  constexpr std::string_view kItem = "  - ";
  constexpr std::string_view kComment = "  # ";
  if (lines.empty()) return {};
  const auto heading = lines.substr(0, lines.find('\n'));
  auto item = lines.substr(std::min(heading.size() + 1, lines.size()));
  const bool one_line = item.starts_with(kItem) && item.find('\n') == item.size() - 1 && !item.contains(kComment);
  if (!one_line) return " http://gateway.internal/denials has the lines for policy.yaml that allow it.";
  item.remove_prefix(kItem.size());
  item.remove_suffix(1);
  return fmt::format(" To allow it, add to policy.yaml: {} [{}]", heading, item);
}

std::string sentence(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  switch (decision.reason) {
    case Reason::kAllowed:
      return decision.request_rules_pending ? "The policy allows this host, within its rules."
                                            : "The policy allows this host.";
    case Reason::kRequestRuleMatched:
      return decision.request_rules_pending ? "The policy allows this so far; the request decides."
                                            : "A rule of the policy allows this request.";
    case Reason::kEndpointAllowed:
      return "An endpoint of the policy allows this.";
    case Reason::kHostNotAllowed:
      return policy.data().records.empty() && policy.data().endpoints.empty()
                 ? "The policy allows nothing."
                 : "No entry of the policy allows this host.";
    case Reason::kHttpsNotPermitted:
      return "The policy allows this host over http, not over https.";
    case Reason::kSchemeNotPermitted:
      return "The policy allows this host over https, not over http.";
    case Reason::kNoRuleMatched:
      return no_rule_sentence(facts);
    case Reason::kInspectionNeeded:
      return inspection_sentence(policy, facts);
    case Reason::kNameMismatch:
      return mismatch_sentence(facts);
    case Reason::kInvalidName:
      return "What was asked for is not a valid host name.";
    case Reason::kNoSni:
      return "The TLS connection does not name its host (no SNI), so nothing can allow it.";
    case Reason::kEndpointNotAllowed:
      return no_endpoint_sentence(facts);
    case Reason::kPrivateAddress:
      return "The name leads to an address that is not public, and its entry lists no 'addresses:' that permit it.";
    case Reason::kQuicRefused:
      return "QUIC cannot be inspected and is refused; the same request over TCP is decided.";
    case Reason::kUdpNotForwarded:
      return "An endpoint of the policy is about this, but UDP is not forwarded yet.";
    case Reason::kMalformed:
      return "What was sent is not the protocol it should be.";
    case Reason::kTimedOut:
      return "Nothing that could be decided arrived in time.";
    case Reason::kTooLarge:
      return "What was sent is larger than the gateway reads before it decides.";
    case Reason::kUpstreamFailed:
      return "The policy allows this, but the host could not be reached.";
    case Reason::kHeaderNotPermitted:
      return fmt::format("The gateway sets {} on this request itself, and the request brings its own.",
                         joined(decision.transforms, &HeaderTransform::name));
    case Reason::kOverrideHeader:
      return fmt::format(
          "A rule would allow this request, but its header {} makes servers act on another method or path than the "
          "rule "
          "is about. Send the request without it.",
          decision.override_header);
    case Reason::kSecretUnavailable:
      return fmt::format("The policy allows this with a secret that the gateway sends, and cannot send now: {}.",
                         joined(decision.transforms, &HeaderTransform::secret));
    case Reason::kEchNotPermitted:
      return "The policy allows this host, but says 'ech: deny', and the TLS hello has another one inside that is "
             "encrypted (ECH) and may name another host.";
    case Reason::kCertificateRefused:
      return "The policy allows this host within its rules, but the client does not trust the gateway's CA.";
  }
  return "Denied.";
}

}  // namespace

std::string reason_sentence(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  std::string out = sentence(policy, facts, decision);
  if (const auto use = optional_use(policy, facts, decision)) out += fmt::format(" It is {}.", describe(*use));
  return out;
}

std::string refusal_page(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  std::string out = fmt::format("Blocked by proxy policy: {}\n\n{}\nReason: {}\n", subject(facts),
                                reason_sentence(policy, facts, decision), to_string(decision.reason));
  if (decision.rule.line != 0) {
    out += fmt::format("Decided by: {} ({})\n", base::shown(place_of(decision.rule)), decision.matched_host);
  }
  out += "\n";
  if (const auto* record = matched_record(policy, decision)) out += rules_text(policy, *record);
  const std::string lines = how_to_allow(policy, facts, decision);
  if (!lines.empty()) out += "To allow it, add to policy.yaml:\n\n" + lines;
  return out;
}

std::string refusal_message(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  return fmt::format("Blocked by proxy policy: {}. {}{}", subject(facts), reason_sentence(policy, facts, decision),
                     remedy(how_to_allow(policy, facts, decision)));
}

std::string refusal_json(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  nlohmann::ordered_json body;
  body["error"] = "Blocked by proxy policy: " + subject(facts);
  body["host"] = subject(facts);
  body["reason"] = to_string(decision.reason);
  body["message"] = refusal_message(policy, facts, decision);
  body["rule"] =
      decision.rule.line == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(base::shown(place_of(decision.rule)));
  const std::string lines = how_to_allow(policy, facts, decision);
  body["suggestion"] = lines.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(lines);
  return body.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace soleroute::policy
