// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/repeat_filter.h"

#include <fmt/format.h>

#include <utility>

namespace soleroute::gateway::dns {
namespace {

// Line breaks separate: the record itself is escaped only when it is written.
std::string kind_of(const audit::DecisionRecord& record) {
  return fmt::format("{}\n{}\n{}\n{}\n{}", record.client.to_string(), record.host, record.reason, record.destination,
                     record.detail);
}

audit::DecisionRecord with_count(audit::DecisionRecord record, std::uint64_t count, const char* what) {
  record.detail += fmt::format("{}{} {}", record.detail.empty() ? "" : "; ", count, what);
  return record;
}

}  // namespace

RepeatFilter::Verdict RepeatFilter::admit(const audit::DecisionRecord& record, Clock::time_point now) {
  const std::string key = kind_of(record);
  Kind* kind = kinds_.find(key);
  // With its window over but a count to tell, it waits for due(): the next of its kind opens a new window.
  if (kind != nullptr && (now < kind->ends || kind->held > 0)) {
    if (kind->held++ == 0) kind->record = record;
    ++held_;
    return Verdict::kCounted;
  }
  Client& client = clients_.touch(record.client);
  if (!client.budget.take(now)) {
    ++client.held;
    client.newest = record;
    ++held_;
    return Verdict::kCounted;
  }
  kinds_.touch(key).ends = now + kWindow;
  return Verdict::kWriteNow;
}

std::vector<audit::DecisionRecord> RepeatFilter::due(Clock::time_point now) {
  std::vector<audit::DecisionRecord> told;
  kinds_.erase_if([&](const std::string&, Kind& kind) {
    if (now < kind.ends) return false;
    if (kind.held > 0) told.push_back(with_count(std::move(kind.record), kind.held, "more like it"));
    return true;
  });
  clients_.erase_if([&](const base::IpAddress&, Client& client) {
    if (client.held > 0 && client.budget.take(now)) {
      told.push_back(with_count(std::move(client.newest), client.held, "denials of this client were not logged"));
      client.held = 0;
    }
    return false;
  });
  held_ = 0;
  const auto count = [&](const auto&, const auto& entry) {
    held_ += entry.held;
    return false;
  };
  kinds_.erase_if(count);
  clients_.erase_if(count);
  return told;
}

}  // namespace soleroute::gateway::dns
