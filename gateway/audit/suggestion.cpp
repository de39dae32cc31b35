// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/suggestion.h"

#include <optional>
#include <vector>

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
  if (record.phase == policy::Phase::kPacket) {
    facts.resolved_names = names;
  } else if (!names.empty()) {
    facts.host = names.front();
    if (record.phase == policy::Phase::kTls) facts.sni = names.front();
  }
  if (auto destination = base::Endpoint::parse(record.destination)) facts.original_destination = *destination;
  if (auto asked = address_asked(record, facts.original_destination)) {
    facts.phase = policy::Phase::kPacket;
    facts.original_destination = asked;
  }
  if (!record.method.empty()) facts.method = record.method;
  if (!record.path.empty()) facts.target = record.path;
  return facts;
}

}  // namespace

std::string lines_to_allow(const DecisionRecord& refused, const policy::Policy& policy) {
  std::vector<base::HostName> names;
  const policy::FlowFacts facts = facts_of(refused, names);
  return policy::how_to_allow(policy, facts, policy.decide(facts));
}

bool is_allowed_now(const DecisionRecord& record, const policy::Policy& policy) {
  std::vector<base::HostName> names;
  return policy.decide(facts_of(record, names)).allowed();
}

std::string lines_to_allow(std::span<const DecisionRecord> refused, const policy::Policy& policy,
                           std::size_t most_items) {
  PolicyLines lines(most_items);
  for (const auto& record : refused) lines.add(lines_to_allow(record, policy));
  return lines.text();
}

bool PolicyLines::add(std::string_view snippet) {
  const std::size_t heading_end = snippet.find('\n');
  if (heading_end == std::string_view::npos || seen_.size() == most_) return false;
  std::string heading(snippet.substr(0, heading_end));
  std::string item(snippet.substr(heading_end + 1));
  if (!seen_.emplace(heading, item).second) return false;
  items_[std::move(heading)] += item;
  return true;
}

std::string PolicyLines::text() const {
  std::string out;
  for (const auto& [heading, items] : items_) out.append(heading).append("\n").append(items);
  return out;
}

}  // namespace soleroute::gateway::audit
