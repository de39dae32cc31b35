// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "policy/address_class.h"
#include "policy/host_pattern.h"
#include "policy/optional_hosts.h"
#include "policy/policy_data.h"
#include "policy/special_names.h"

namespace soleroute::policy {
namespace {

// What the flow was for, in characters that cannot forge anything: names and addresses are canonical values.
std::string subject(const FlowFacts& facts) {
  if (facts.phase == Phase::kTls && facts.sni) return facts.sni->text();
  if (facts.host) return facts.host->text();
  if (facts.sni) return facts.sni->text();
  if (facts.host_address) return facts.host_address->to_string();
  if (!facts.resolved_names.empty()) return facts.resolved_names.front().text();
  return facts.original_destination ? facts.original_destination->address.to_string() : "unknown";
}

constexpr std::uint16_t kSshPort = 22;

std::string no_endpoint_sentence(const FlowFacts& facts) {
  const auto port =
      facts.phase == Phase::kPacket && facts.original_destination ? facts.original_destination->port : facts.port;
  switch (facts.transport) {
    case Transport::kTcp:
      return fmt::format("The policy does not allow TCP port {} on {}.{}", port, subject(facts),
                         port == kSshPort ? " Use https instead of ssh, or allow this port." : "");
    case Transport::kUdp:
      return "UDP is blocked; only DNS works, answered by the gateway.";
    case Transport::kIcmp:
      return "ICMP is blocked.";
    case Transport::kOther:
      break;
  }
  return "This protocol is blocked.";
}

std::string mismatch_sentence(const FlowFacts& facts) {
  if (!facts.sni || !facts.host) return "Host mismatch between TLS SNI and the request.";
  return fmt::format("Host mismatch: TLS SNI is {}, Host header is {}.", facts.sni->text(), facts.host->text());
}

std::string no_rule_sentence(const FlowFacts& facts) {
  std::string out = subject(facts) + " is allowed, but no rule matches this method and path.";
  if (facts.target && !parse_target(*facts.target).path) {
    out += " The path is ambiguous, so no rule with a path matches it.";
  }
  return out;
}

std::string inspection_sentence(const Policy& policy, const FlowFacts& facts) {
  const auto& name = facts.phase == Phase::kTls ? facts.sni : facts.host;
  const auto* record = name ? policy.data().record(policy.data().find(*name)) : nullptr;
  const bool wanted = record != nullptr && record->inspect_wanted;
  return fmt::format("{} https to {}, but this gateway has no CA.",
                     wanted ? "The policy inspects" : "The rules need to inspect", subject(facts));
}

// Loopback, link-local and metadata addresses are not told, nor is it advised to list them.
bool is_told(const Decision& decision) {
  return decision.refused_address && !is_never_suggested(*decision.refused_address);
}

std::string leads_inside(const FlowFacts& facts, const Decision& decision) {
  if (placeholder_range(*decision.refused_address)) {
    return fmt::format("{} resolves to {}: {}.", subject(facts), decision.refused_address->to_string(),
                       kPlaceholderResolver);
  }
  return fmt::format("{} resolves to a private address ({}).", subject(facts), decision.refused_address->to_string());
}

std::string private_sentence(const FlowFacts& facts, const Decision& decision) {
  if (decision.refused_address && !is_told(decision)) {
    return subject(facts) + " resolves to a loopback, link-local or metadata address, which is blocked.";
  }
  if (!is_told(decision)) return subject(facts) + " resolves to a private address, which is blocked.";
  const auto placeholders = placeholder_range(*decision.refused_address);
  return fmt::format("{} To allow it, list {} under `addresses:`{}.", leads_inside(facts, decision),
                     placeholders ? placeholders->to_string() : decision.refused_address->to_string(),
                     placeholders ? " for the whole policy" : "");
}

std::string denied_sentence(const FlowFacts& facts, const Decision& decision) {
  const std::string place = base::shown(place_of(decision.rule));
  if (decision.refused_address) {
    return fmt::format("{} resolves to {}, which the policy denies ({}).", subject(facts),
                       decision.refused_address->to_string(), place);
  }
  if (!decision.override_header.empty()) {
    return fmt::format("The policy denies some requests to {} ({}), and the header {} can change the method or path.",
                       subject(facts), place, decision.override_header);
  }
  const bool request = facts.phase == Phase::kHttp && facts.method;
  return fmt::format("The policy denies {}{} ({}).", request ? "this request to " : "", subject(facts), place);
}

std::string special_sentence(const FlowFacts& facts) {
  const auto& name = facts.phase == Phase::kTls && facts.sni ? facts.sni : facts.host;
  return name ? never_forwarded_sentence(*name) : "This special-use name never resolves.";
}

std::string joined(std::span<const HeaderTransform> transforms, std::string HeaderTransform::* part) {
  std::string out;
  for (const auto& transform : transforms) out += (out.empty() ? "" : " and ") + transform.*part;
  return out.empty() ? "a header" : out;
}

const HostRecord* matched_record(const Policy& policy, const Decision& decision) {
  if (decision.reason == Reason::kDeniedByPolicy) return nullptr;
  const auto* entry = policy.data().table.entry(suffix_of(decision.matched_host));
  if (entry == nullptr || decision.matched_host.empty()) return nullptr;
  const auto index = is_wildcard(decision.matched_host) ? entry->wildcard : entry->exact;
  return index == HostTable::kNone ? nullptr : &policy.data().records[index];
}

std::string rules_text(const Policy& policy, const HostRecord& record) {
  constexpr std::size_t kMostShown = 20;
  const auto rules = policy.data().rules_of(record);
  if (rules.empty()) return {};
  std::string out = fmt::format("\nRules for {}:\n", record.pattern);
  for (const auto& rule : rules.first(std::min(rules.size(), kMostShown))) {
    out += fmt::format("  {}  ({})\n", describe(rule.terms), base::shown(place_of(policy.data().line(rule.origin))));
  }
  if (rules.size() > kMostShown) out += fmt::format("  and {} more\n", rules.size() - kMostShown);
  return out;
}

// "domains: [a.test]", where the lines are a heading and one item of one line; empty otherwise.
std::string in_one_line(std::string_view lines) {
  constexpr std::string_view kItem = "  - ";
  constexpr std::string_view kComment = "  # ";
  const auto heading = lines.substr(0, lines.find('\n'));
  auto item = lines.substr(std::min(heading.size() + 1, lines.size()));
  if (!item.starts_with(kItem) || item.find('\n') != item.size() - 1) return {};
  item.remove_prefix(kItem.size());
  item.remove_suffix(1);
  item = item.substr(0, item.rfind(kComment));
  return fmt::format("{} [{}]", heading, item);
}

// What is between them; empty where the text is not all three.
std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
  if (text.size() < before.size() + after.size() || !text.starts_with(before) || !text.ends_with(after)) return {};
  return text.substr(before.size(), text.size() - before.size() - after.size());
}

// A name as `gateway allow` takes it: with a dot, so that it is no service's, and without quotes.
bool is_plain_name(std::string_view text) {
  const auto is_usual = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  };
  return text.contains('.') && std::ranges::all_of(text, is_usual);
}

// "db.test, port: 5432" as "db.test:5432", "192.0.2.1/32, port: 80" as "192.0.2.1:80".
std::string host_and_port(std::string_view text) {
  constexpr std::string_view kPort = ", port: ";
  const auto comma = text.find(kPort);
  if (comma == std::string_view::npos) return {};
  const auto host = text.substr(0, std::min(text.find('/'), comma));
  const auto port = text.substr(comma + kPort.size());
  const bool number = !port.empty() && std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
  return number && is_plain_name(host) ? fmt::format("{}:{}", host, port) : std::string{};
}

constexpr std::size_t kLongestRemedy = 400;

// "to allow it, add to policy.yaml: domains: [a.test]"; empty where nothing would.
std::string remedy(const Policy& policy, std::string_view lines) {
  if (lines.empty()) return {};
  const auto line = in_one_line(lines);
  if (line.empty() || line.size() > kLongestRemedy) return "to allow it, see http://gateway.internal/denials";
  return fmt::format("to allow it, add to {}: {}", policy_file(policy), line);
}

std::string sentence(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  const std::string host = subject(facts);
  switch (decision.reason) {
    case Reason::kAllowed:
    case Reason::kRequestRuleMatched:
      if (decision.request_rules_pending) return "Host allowed; each request is checked too.";
      return decision.reason == Reason::kAllowed ? "The policy allows " + host + "."
                                                 : "A rule in the policy allows this request.";
    case Reason::kEndpointAllowed:
      return "An endpoint in the policy allows this connection.";
    case Reason::kHostNotAllowed:
      if (policy.data().nobodys) return "No agent in the policy has this address, and other clients are blocked.";
      return policy.data().records.empty() && policy.data().endpoints.empty()
                 ? "The policy is empty: all network access is blocked."
                 : host + " is not in the policy.";
    case Reason::kHttpsNotPermitted:
      return host + " is allowed over http only, not over https.";
    case Reason::kSchemeNotPermitted:
      return host + " is allowed over https only, not over http.";
    case Reason::kNoRuleMatched:
      return no_rule_sentence(facts);
    case Reason::kInspectionNeeded:
      return inspection_sentence(policy, facts);
    case Reason::kNameMismatch:
      return mismatch_sentence(facts);
    case Reason::kInvalidName:
      return "Not a valid host name.";
    case Reason::kNoSni:
      return "The TLS connection sends no host name (SNI), so the policy cannot match it.";
    case Reason::kEndpointNotAllowed:
      return no_endpoint_sentence(facts);
    case Reason::kPrivateAddress:
      return private_sentence(facts, decision);
    case Reason::kQuicRefused:
      return "QUIC (HTTP/3) is blocked because it cannot be inspected. Use https over TCP.";
    case Reason::kMalformed:
      return "Not valid HTTP or TLS.";
    case Reason::kTimedOut:
      return "Timed out waiting for a request.";
    case Reason::kTooLarge:
      return "Request headers are too large.";
    case Reason::kUpstreamFailed:
      return host + " is allowed, but the gateway cannot reach it.";
    case Reason::kHeaderNotPermitted:
      return fmt::format("The gateway sets {} on this request; requests may not set this header themselves.",
                         joined(decision.transforms, &HeaderTransform::name));
    case Reason::kOverrideHeader:
      return fmt::format(
          "A rule matches this request, but its header {0} can change the method or path that the server uses. "
          "Send the request without {0}.",
          decision.override_header);
    case Reason::kSecretUnavailable:
      return fmt::format("Allowed, but the secret {} could not be read.",
                         joined(decision.transforms, &HeaderTransform::secret));
    case Reason::kEchNotPermitted:
      return host + " is allowed, but this connection uses Encrypted Client Hello and the policy says 'ech: deny'.";
    case Reason::kSpecialUseName:
      return special_sentence(facts);
    case Reason::kDeniedByPolicy:
      return denied_sentence(facts, decision);
    case Reason::kCertificateRefused:
      return host + " is allowed, but the client does not trust the gateway's CA.";
  }
  return "Blocked.";
}

}  // namespace

std::string reason_sentence(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  std::string out = sentence(policy, facts, decision);
  if (const auto use = optional_use(policy, facts, decision)) out += fmt::format(" It is {}.", describe(*use));
  return out;
}

std::string policy_file(const Policy& policy) {
  constexpr std::size_t kLongest = 200;
  const auto& files = policy.data().files;
  auto file = files.empty() || files.back().empty() ? "policy.yaml" : base::shown_ascii(files.back(), kLongest);
  if (!policy.agent_name().empty()) file += fmt::format(" (agent {})", policy.agent_name());
  return file;
}

std::string allow_command(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  const std::string line = in_one_line(how_to_allow(policy, facts, decision));
  std::string item(between(line, "domains: [", "]"));
  if (!is_plain_name(item)) item = host_and_port(between(line, "endpoints: [{host: ", "}]"));
  if (item.empty()) item = host_and_port(between(line, "endpoints: [{cidr: ", "}]"));
  if (item.empty()) return {};
  const auto agent = policy.agent_name();
  return "gateway allow " + item + (agent.empty() ? std::string{} : fmt::format(" --agent {}", agent));
}

std::string refusal_subject(const FlowFacts& facts) {
  return subject(facts);
}

std::string refusal_headline(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  const auto cure = remedy(policy, how_to_allow(policy, facts, decision));
  return fmt::format("Blocked by proxy policy: {}{}", subject(facts), cure.empty() ? "" : " (" + cure + ")");
}

std::string refusal_page(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  std::string out = fmt::format("{}\n\n{}\nReason: {}\n", refusal_headline(policy, facts, decision),
                                reason_sentence(policy, facts, decision), to_string(decision.reason));
  if (decision.rule.line != 0) {
    out += fmt::format("Decided by: {} ({})\n", base::shown(place_of(decision.rule)), decision.matched_host);
  }
  const auto* record = matched_record(policy, decision);
  if (record != nullptr) out += rules_text(policy, *record);
  const std::string lines = how_to_allow(policy, facts, decision);
  if (!lines.empty()) out += fmt::format("\nTo allow it, add to {}:\n\n{}", policy_file(policy), lines);
  const std::string command = allow_command(policy, facts, decision);
  if (!command.empty()) out += fmt::format("\nOr the operator allows it at once: {}\n", command);
  return out;
}

std::string reason_and_remedy(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  std::string cure = remedy(policy, how_to_allow(policy, facts, decision));
  if (cure.empty()) return reason_sentence(policy, facts, decision);
  cure = " T" + cure.substr(1);
  const bool said_twice = decision.reason == Reason::kPrivateAddress && is_told(decision);
  return (said_twice ? leads_inside(facts, decision) : reason_sentence(policy, facts, decision)) + cure;
}

std::string refusal_message(const Policy& policy, const FlowFacts& facts, const Decision& decision) {
  return fmt::format("Blocked by proxy policy: {}. {}", subject(facts), reason_and_remedy(policy, facts, decision));
}

// The members of RFC 9457 first.
std::string refusal_json(const Policy& policy, const FlowFacts& facts, const Decision& decision, int status) {
  nlohmann::ordered_json body;
  body["type"] = fmt::format("http://gateway.internal/policy#{}", to_string(decision.reason));
  body["title"] = "Blocked by proxy policy";
  body["status"] = status;
  body["detail"] = reason_sentence(policy, facts, decision);
  body["instance"] = "http://gateway.internal/denials";
  body["error"] = refusal_headline(policy, facts, decision);
  body["host"] = subject(facts);
  body["reason"] = to_string(decision.reason);
  body["message"] = refusal_message(policy, facts, decision);
  body["rule"] =
      decision.rule.line == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(base::shown(place_of(decision.rule)));
  const std::string lines = how_to_allow(policy, facts, decision);
  body["suggestion"] = lines.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(lines);
  if (auto command = allow_command(policy, facts, decision); !command.empty()) body["command"] = std::move(command);
  return body.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace soleroute::policy
