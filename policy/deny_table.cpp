// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/deny_table.h"

#include <algorithm>
#include <utility>

#include "base/web_ports.h"
#include "policy/address_class.h"
#include "policy/host_pattern.h"
#include "policy/layers.h"

namespace soleroute::policy {
namespace {

DenyRecord record_of(const MergedDeny& denied) {
  DenyRecord record{.pattern = denied.host ? denied.host->text() : denied.range.to_string(),
                    .by_address = !denied.host,
                    .range = denied.range,
                    .transport = denied.transport,
                    .ports = denied.ports};
  if (denied.terms) record.rule = std::make_shared<const DenyRule>(deny_rule(*denied.terms));
  record.origin = denied.origin;
  return record;
}

// The port of a flow: a connection that is not read has only its destination's.
std::uint16_t port_of(const FlowFacts& facts) {
  if (facts.phase == Phase::kPacket && facts.original_destination) return facts.original_destination->port;
  if (facts.port != 0) return facts.port;
  return facts.scheme == Scheme::kHttp ? base::kHttpPort : base::kHttpsPort;
}

// 80 is a port of http alone, and 443 one of https.
bool has_scheme_on(const DenyRule& rule, std::uint16_t port) {
  if (port == base::kHttpPort) return rule.terms.http;
  return port == base::kHttpsPort ? rule.terms.https : true;
}

void add(Denial& denial, const DenyRecord& record, const FlowFacts& facts, WideTarget& target) {
  if (facts.phase == Phase::kDns) {
    const bool whole = !record.rule && !record.transport && record.ports.empty();
    if (whole && denial.denies == nullptr) denial.denies = &record;
    denial.pending = denial.pending || !whole;
    return;
  }
  const auto port = port_of(facts);
  if (!record.is_about(facts.transport, port) || (record.rule && !has_scheme_on(*record.rule, port))) return;
  if (denial.reaches == nullptr) denial.reaches = &record;
  const auto found = record.rule ? match(*record.rule, facts, target) : DenyMatch{.match = Match::kYes};
  denial.pending = denial.pending || found.match == Match::kPending;
  if (record.rule) {
    const auto& terms = record.rule->terms;
    denial.looks_inside = denial.looks_inside || (terms.https && terms.constrains_request());
    denial.by_method = denial.by_method || terms.is_about_methods();
    denial.by_path = denial.by_path || terms.is_about_paths();
  }
  if (found.match != Match::kYes || denial.denies != nullptr) return;
  denial.denies = &record;
  denial.override_header = found.override_header;
}

}  // namespace

DeniedAddresses::DeniedAddresses(std::span<const DenyRecord> records, std::span<const std::string> files) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto& record = records[i];
    if (!record.by_address) continue;
    const auto family = record.range.address().family();
    const int length = record.range.prefix_length();
    auto level = std::ranges::find_if(
        levels_, [&](const Level& each) { return each.family == family && each.prefix_length == length; });
    if (level == levels_.end())
      level = levels_.insert(level, {.family = family, .prefix_length = length, .ranges = {}});
    level->ranges.push_back({.range = record.range,
                             .transport = record.transport,
                             .ports = record.ports,
                             .record = i,
                             .place = place_of({files[record.origin.file], record.origin.line})});
  }
  for (auto& level : levels_)
    std::ranges::sort(level.ranges, {}, [](const Range& each) { return std::pair(each.range, each.record); });
}

const DeniedAddresses::Range* DeniedAddresses::among(const Level& level, const base::IpAddress& address,
                                                     std::uint16_t port, Transport transport) const {
  if (address.family() != level.family) return nullptr;
  const auto wanted = base::InterfaceAddress{address, level.prefix_length}.subnet();
  for (const auto& range : std::ranges::equal_range(level.ranges, wanted, {}, &Range::range)) {
    const bool about = (!range.transport || *range.transport == transport) &&
                       (range.ports.empty() || base::contains(range.ports, port));
    if (about) return &range;
  }
  return nullptr;
}

std::optional<DeniedAddresses::Found> DeniedAddresses::find(const base::IpAddress& address, std::uint16_t port,
                                                            Transport transport) const {
  const auto plain = address.unmapped();
  for (const auto& each : {plain, beyond_nat64(plain)}) {
    for (const auto& level : levels_) {
      if (const auto* range = among(level, each, port, transport)) return Found{range->record, range->place};
    }
  }
  return std::nullopt;
}

void DenyTable::add_name(std::string_view name, bool wildcard, std::uint32_t record) {
  auto& entry = table_.at(name);
  auto& group = wildcard ? entry.wildcard : entry.exact;
  if (group == HostTable::kNone) {
    group = static_cast<std::uint32_t>(groups_.size());
    groups_.emplace_back();
  }
  groups_[group].records.push_back(record);
}

void DenyTable::link(std::string_view name) {
  const auto& entry = *table_.entry(name);
  std::uint32_t above = HostTable::kNone;
  for (auto rest = name; !rest.empty() && above == HostTable::kNone;) {
    const auto dot = rest.find('.');
    rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
    if (const auto* parent = table_.entry(rest)) above = parent->wildcard;
  }
  if (entry.wildcard != HostTable::kNone) groups_[entry.wildcard].parent = above;
  if (entry.exact == HostTable::kNone) return;
  groups_[entry.exact].parent = entry.wildcard != HostTable::kNone ? entry.wildcard : above;
}

DenyTable::DenyTable(const std::vector<MergedDeny>& denies, std::span<const std::string> files)
    : table_(denies.size()) {
  records_.reserve(denies.size());
  for (const auto& denied : denies) {
    const auto index = static_cast<std::uint32_t>(records_.size());
    records_.push_back(record_of(denied));
    if (denied.host) add_name(denied.host->suffix(), denied.host->wildcard, index);
  }
  for (const auto& denied : denies) {
    if (denied.host) link(denied.host->suffix());
  }
  auto addresses = std::make_shared<const DeniedAddresses>(records_, files);
  if (!addresses->empty()) addresses_ = std::move(addresses);
}

Denial DenyTable::about(const NameHashes& name, const FlowFacts& facts) const {
  Denial denial;
  if (groups_.empty()) return denial;
  WideTarget target(facts);
  for (auto group = table_.find(name).record; group != HostTable::kNone; group = groups_[group].parent) {
    for (const auto record : groups_[group].records) add(denial, records_[record], facts, target);
  }
  return denial;
}

const DenyRecord* DenyTable::about(const base::IpAddress& address, std::uint16_t port, Transport transport) const {
  const auto found = addresses_ ? addresses_->find(address, port, transport) : std::nullopt;
  return found ? &records_[found->record] : nullptr;
}

}  // namespace soleroute::policy
