// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/decision_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <set>

#include "base/text.h"
#include "base/web_ports.h"
#include "gateway/audit/probe.h"
#include "gateway/audit/suggestion.h"
#include "gateway/jail/denial_words.h"

namespace soleroute::gateway::jail {
namespace {

constexpr std::size_t kMaxSubject = 255;
constexpr std::size_t kMaxSuggestions = 20;  // items of policy, in all
constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kPlain = "\x1b[0m";

std::string subject_of(const audit::DecisionRecord& record) {
  const bool web = record.port == 0 || base::is_web_port(record.port);
  if (!record.host.empty())
    return base::shown_ascii(web ? record.host : fmt::format("{}:{}", record.host, record.port), kMaxSubject);
  if (!record.destination.empty()) return base::shown_ascii(record.destination, kMaxSubject);
  return "(unnamed)";
}

std::vector<HostSummary> most_used_first(std::vector<HostSummary> hosts) {
  std::ranges::sort(hosts, [](const HostSummary& a, const HostSummary& b) {
    if (a.uses != b.uses) return a.uses > b.uses;
    if (a.lookups != b.lookups) return a.lookups > b.lookups;
    return a.subject < b.subject;
  });
  return hosts;
}

// Questions that a program asks beside its own: the name of an address (PTR), the servers of a service (SRV).
bool is_side_question(std::string_view host) {
  return host.ends_with(".in-addr.arpa") || host.ends_with(".ip6.arpa") || host.starts_with('_');
}

// "db.example" was looked up for "db.example:5432": the second says it all.
std::vector<HostSummary> without_lookups_that_say_less(std::vector<HostSummary> hosts) {
  std::set<std::string> used;
  for (const HostSummary& host : hosts) {
    if (host.uses != 0) used.insert(host.example.host);
  }
  std::erase_if(hosts, [&used](const HostSummary& host) {
    return host.uses == 0 && (used.contains(host.example.host) || is_side_question(host.example.host));
  });
  return hosts;
}

std::string count_of(std::size_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string host_list(const std::vector<HostSummary>& hosts, std::size_t most, const policy::Policy* why) {
  std::string out;
  for (const HostSummary& host : hosts | std::views::take(most)) {
    const std::uint64_t count = host.uses != 0 ? host.uses : host.lookups;
    out += fmt::format("    {:<40} {:>6}", host.subject, fmt::format("{}x", count));
    if (why != nullptr) out += fmt::format("  {}", why_denied(host.example, *why));
    if (why == nullptr && host.uses == 0) out += "  DNS only";
    out += '\n';
  }
  if (hosts.size() > most) out += fmt::format("    and {} more\n", hosts.size() - most);
  return out;
}

}  // namespace

void SummaryLog::decision(const audit::DecisionRecord& record) {
  next_->decision(record);
  if (listener_) listener_(record);
  if (audit::is_probe(record)) return;
  const bool lookup = record.phase == policy::Phase::kDns;
  const Outcome outcome = record.allowed ? Outcome::kAllowed : is_failure(record) ? Outcome::kFailed : Outcome::kDenied;
  std::pair<Outcome, std::string> key(outcome, subject_of(record));
  const std::lock_guard lock(mutex_);
  auto found = hosts_.find(key);
  if (found == hosts_.end()) {
    if (hosts_.size() == kMaxHosts) {
      ++not_kept_;
      return;
    }
    found = hosts_.emplace(key, HostSummary{.subject = key.second, .example = record}).first;
  }
  HostSummary& host = found->second;
  if (!lookup && host.uses == 0) host.example = record;
  ++(lookup ? host.lookups : host.uses);
}

DecisionSummary SummaryLog::summary() const {
  DecisionSummary summary;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, host] : hosts_) {
      auto& list = key.first == Outcome::kAllowed  ? summary.allowed
                   : key.first == Outcome::kDenied ? summary.denied
                                                   : summary.failed;
      list.push_back(host);
    }
    summary.not_kept = not_kept_;
  }
  summary.allowed = most_used_first(std::move(summary.allowed));
  summary.denied = most_used_first(without_lookups_that_say_less(std::move(summary.denied)));
  summary.failed = most_used_first(std::move(summary.failed));
  return summary;
}

std::string lines_to_allow(const DecisionSummary& summary, const policy::Policy& policy) {
  std::vector<audit::DecisionRecord> refused;
  for (const HostSummary& host : summary.denied) refused.push_back(host.example);
  return audit::lines_to_allow(refused, policy, kMaxSuggestions);
}

std::string summary_text(const DecisionSummary& summary, const policy::Policy& policy, const SummaryStyle& style) {
  if (summary.empty()) return {};
  const auto paint = [&style](std::string_view colour, std::string_view text) {
    return style.colour ? fmt::format("{}{}{}", colour, text, kPlain) : std::string(text);
  };
  const bool observe = policy.mode() == policy::Mode::kObserve;
  const std::string_view denied = observe ? "would be denied" : "denied";
  std::string out = fmt::format("{} {} allowed, {} {}{}\n", paint(kBold, "gateway:"),
                                count_of(summary.allowed.size(), "host"), summary.denied.size(), denied,
                                summary.failed.empty() ? "" : fmt::format(", {} failed", summary.failed.size()));
  const auto add = [&](const std::vector<HostSummary>& hosts, std::string_view colour, std::string_view heading,
                       const policy::Policy* why) {
    if (!hosts.empty()) out += fmt::format("  {}\n{}", paint(colour, heading), host_list(hosts, style.most_hosts, why));
  };
  add(summary.allowed, kGreen, "allowed", nullptr);
  add(summary.denied, kRed, denied, &policy);
  add(summary.failed, kRed, "failed", &policy);
  if (summary.not_kept != 0)
    out += fmt::format("  {} decisions about further hosts are not listed\n", summary.not_kept);
  const std::string lines = lines_to_allow(summary, policy);
  if (lines.empty()) return out;
  return out + fmt::format("  to allow what {}, add to {}:\n{}", observe ? "would be denied" : "was denied",
                           base::shown(style.policy_file), base::indented(lines, "    "));
}

}  // namespace soleroute::gateway::jail
