// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/suggestion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <tuple>
#include <vector>

#include "gateway/audit/decision_record.h"
#include "gateway/audit/probe.h"
#include "policy/address_class.h"
#include "policy/explanation.h"

namespace soleroute::gateway::audit {
namespace {

policy::Scheme scheme_of(std::string_view text) {
  if (text == "http") return policy::Scheme::kHttp;
  if (text == "https") return policy::Scheme::kHttps;
  return policy::Scheme::kNone;
}

// The packet log says what was sent in front of everything else.
policy::Transport transport_of(const DecisionRecord& record) {
  if (record.phase != policy::Phase::kPacket || record.detail.starts_with("tcp")) return policy::Transport::kTcp;
  if (record.detail.starts_with("udp")) return policy::Transport::kUdp;
  return record.detail.starts_with("icmp") ? policy::Transport::kIcmp : policy::Transport::kOther;
}

// Where a flow was going that named an address, or TLS that named nothing. The gateway's own addresses are not public.
std::optional<base::Endpoint> address_asked(const DecisionRecord& record,
                                            const std::optional<base::Endpoint>& destination) {
  const auto named = base::IpAddress::parse(record.host);
  if (record.phase == policy::Phase::kConnect && named) return base::Endpoint{*named, record.port};
  if (!destination) return std::nullopt;
  const bool http = record.phase == policy::Phase::kHttp && named &&
                    record.reason == policy::to_string(policy::Reason::kEndpointNotAllowed);
  const bool tls = record.phase == policy::Phase::kTls && record.reason == policy::to_string(policy::Reason::kNoSni) &&
                   policy::is_public(destination->address);
  return http || tls ? destination : std::nullopt;
}

// Where denied names lead, as the record says: the address says nothing about where the flow was going, a name does.
// The address alone does not tell: real networks have addresses of the same ranges (Tailscale's in 100.64.0.0/10).
bool went_to_the_gateway(const DecisionRecord& record) {
  const bool may = record.phase == policy::Phase::kPacket || record.phase == policy::Phase::kConnect;
  return may && record.detail.contains(kOwnAddress);
}

bool lists(std::span<const base::Cidr> permitted, const base::IpAddress& address) {
  return std::ranges::any_of(permitted, [&](const base::Cidr& range) { return range.contains(address.unmapped()); });
}

// The facts as far as the record tells; borrows from it and from `names`. An address is asked about as `gateway
// explain` does.
policy::FlowFacts facts_of(const DecisionRecord& record, std::vector<base::HostName>& names) {
  policy::FlowFacts facts;
  facts.transport = transport_of(record);
  facts.phase = record.phase;
  facts.client = record.client;
  facts.port = record.port;
  facts.scheme = scheme_of(record.scheme);
  if (auto host = base::HostName::parse(record.host)) names.push_back(std::move(*host));
  if (went_to_the_gateway(record)) {
    facts.phase = policy::Phase::kConnect;
    if (!names.empty()) facts.host = names.front();
  } else if (record.phase == policy::Phase::kPacket) {
    facts.resolved_names = names;
  } else if (!names.empty()) {
    facts.host = names.front();
    if (record.phase == policy::Phase::kTls) facts.sni = names.front();
  }
  const auto destination = base::Endpoint::parse(record.destination);
  if (destination && !went_to_the_gateway(record)) facts.original_destination = *destination;
  if (auto asked = address_asked(record, facts.original_destination)) {
    facts.phase = policy::Phase::kPacket;
    facts.original_destination = asked;
  }
  if (!record.method.empty()) facts.method = record.method;
  if (!record.path.empty()) facts.target = record.path;
  return facts;
}

// With the address that the name had: what the policy allows by name may still lead to one that it does not.
policy::Decision decide(const policy::Policy& policy, const policy::FlowFacts& facts, const DecisionRecord& record) {
  policy::Decision decision = policy.decide(facts);
  const auto address = base::IpAddress::parse(record.resolved);
  if (!address || lists(decision.permitted_addresses, *address)) return decision;
  decision.refused_address = *address;
  if (!decision.allowed()) return decision;
  decision.action = policy::Action::kDeny;
  decision.reason = policy::Reason::kPrivateAddress;
  return decision;
}

// As the DNS server remarks on names that it never asks for.
constexpr std::string_view kSpecialName = "special-use name";

bool is_name_of_a_service_record(const DecisionRecord& record) {
  return record.phase == policy::Phase::kDns && record.host.starts_with('_');
}

bool is_below_the_probe(std::string_view host) {
  return host == kProbeName || (host.ends_with(kProbeName) && host[host.size() - kProbeName.size() - 1] == '.');
}

// "  - a.test" and "# 3 times, GET", in front of what the line already remarks.
std::string with_remark(std::string_view item, std::string_view remark) {
  if (remark.empty()) return std::string(item);
  constexpr std::string_view kComment = "  # ";
  const auto line_end = std::min(item.find('\n'), item.size());
  const auto own = item.substr(0, line_end).rfind(kComment);
  if (own == std::string_view::npos) {
    return fmt::format("{}{}{}{}", item.substr(0, line_end), kComment, remark, item.substr(line_end));
  }
  return fmt::format("{}{}{}, {}", item.substr(0, own), kComment, remark, item.substr(own + kComment.size()));
}

// The method of a request, or the protocol; a log is not trusted.
std::string way_of(const DecisionRecord& record) {
  constexpr std::size_t kLongestMethod = 20;
  const auto is_usual = [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; };
  if (record.phase == policy::Phase::kDns) return "DNS only";
  const bool method = !record.method.empty() && record.method.size() <= kLongestMethod && record.method != "CONNECT" &&
                      std::ranges::all_of(record.method, is_usual);
  if (method) return record.method;
  if (scheme_of(record.scheme) != policy::Scheme::kNone) return record.scheme;
  return {};
}

}  // namespace

bool is_curable(const DecisionRecord& refused) {
  using policy::Reason;
  constexpr std::array kCurable{
      Reason::kHostNotAllowed,   Reason::kHttpsNotPermitted,  Reason::kSchemeNotPermitted, Reason::kNoRuleMatched,
      Reason::kInspectionNeeded, Reason::kEndpointNotAllowed, Reason::kPrivateAddress,     Reason::kNoSni};
  const bool known = std::ranges::any_of(
      kCurable, [&](Reason reason) { return policy::to_string(reason) == std::string_view(refused.reason); });
  return known && !is_probe(refused) && !is_below_the_probe(refused.host) && !is_name_of_a_service_record(refused) &&
         !refused.detail.contains(kSpecialName) && !refused.detail.contains(kMaybeSearched);
}

std::optional<policy::OptionalUse> optional_use(const DecisionRecord& refused, const policy::Policy& policy) {
  const bool may_be = refused.reason == policy::to_string(policy::Reason::kHostNotAllowed) ||
                      refused.reason == policy::to_string(policy::Reason::kNoRuleMatched);
  if (refused.allowed || !may_be) return std::nullopt;
  std::vector<base::HostName> names;
  const policy::FlowFacts facts = facts_of(refused, names);
  return policy::optional_use(policy, facts, policy.decide(facts));
}

std::uint64_t times(const DecisionRecord& record) {
  constexpr std::string_view kMore = " more like it";
  std::string_view detail = record.detail;
  const auto more = detail.find(kMore);
  if (more == std::string_view::npos) return 1;
  detail = detail.substr(0, more);
  const auto space = detail.rfind(' ');
  const auto digits = space == std::string_view::npos ? detail : detail.substr(space + 1);
  std::uint64_t count = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  return fault == std::errc{} && end == digits.data() + digits.size() && count > 0 ? count : 1;
}

std::string lines_to_allow(const DecisionRecord& refused, const policy::Policy& policy) {
  if (!is_curable(refused)) return {};
  std::vector<base::HostName> names;
  const policy::FlowFacts facts = facts_of(refused, names);
  return policy::how_to_allow(policy, facts, decide(policy, facts, refused));
}

bool is_allowed_now(const DecisionRecord& record, const policy::Policy& policy) {
  std::vector<base::HostName> names;
  return decide(policy, facts_of(record, names), record).allowed();
}

std::string allowed_by(const DecisionRecord& record, const policy::Policy& policy) {
  std::vector<base::HostName> names;
  const auto decision = decide(policy, facts_of(record, names), record);
  return decision.allowed() ? policy::place_of(decision.rule) : std::string{};
}

std::string lines_to_allow(std::span<const DecisionRecord> refused, const policy::Policy& policy,
                           std::size_t most_items) {
  PolicyLines lines(most_items);
  for (const auto& record : refused) lines.add(lines_to_allow(record, policy));
  return lines.text();
}

void Demand::add(const DecisionRecord& refused, std::uint64_t count) {
  count_ += count;
  auto way = way_of(refused);
  if (!way.empty() && ways_.size() < kMostWays) ways_.insert(std::move(way));
}

std::string Demand::text() const {
  if (count_ == 0) return {};
  return fmt::format("{} {}{}{}{}{}", count_, count_ == 1 ? "time" : "times", ways_.empty() ? "" : ", ",
                     fmt::join(ways_, ", "), note_.empty() ? "" : ", ", note_);
}

bool PolicyLines::add(std::string_view snippet, const Demand& demand) {
  const std::size_t heading_end = snippet.find('\n');
  if (heading_end == std::string_view::npos || seen_.size() == most_) return false;
  std::string heading(snippet.substr(0, heading_end));
  std::string item(snippet.substr(heading_end + 1));
  if (!seen_.emplace(heading, item).second) return false;
  items_[std::move(heading)].push_back({std::move(item), demand.count(), demand.text()});
  return true;
}

std::vector<const PolicyLines::Item*> PolicyLines::ordered(const std::vector<Item>& items) {
  // Equal ones as they came: all are in one array.
  const auto rank = [](const Item* item) { return std::tuple(item->text.contains("\"*."), ~item->count, item); };
  std::vector<const Item*> out;
  for (const auto& item : items) out.push_back(&item);
  std::ranges::sort(out, {}, rank);
  return out;
}

std::string PolicyLines::text() const {
  std::string out;
  for (const auto& [heading, items] : items_) {
    out.append(heading).append("\n");
    for (const auto* item : ordered(items)) out += with_remark(item->text, item->remark);
  }
  return out;
}

std::vector<PolicyLines::Line> PolicyLines::lines() const {
  constexpr std::string_view kDash = "  - ";
  constexpr std::string_view kComment = "  # ";
  std::vector<Line> out;
  for (const auto& [heading, items] : items_) {
    for (const auto* item : ordered(items)) {
      const std::string_view text = std::string_view(item->text).substr(kDash.size());
      const auto end = std::min(text.find('\n'), text.size());
      const auto comment = std::min(text.substr(0, end).rfind(kComment), end);
      const auto remark = std::min(comment + kComment.size(), end);
      out.push_back({.list = heading.substr(0, heading.find(':')),
                     .item = std::string(text.substr(0, comment)),
                     .remark = std::string(text.substr(remark, end - remark)),
                     .demand = item->remark});
    }
  }
  return out;
}

}  // namespace soleroute::gateway::audit
