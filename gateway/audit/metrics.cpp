// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/metrics.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

namespace soleroute::gateway::audit {
namespace {

constexpr std::array kFields{
    CounterField{"connections_accepted", "Connections of clients that were accepted.", &Counters::connections_accepted},
    CounterField{"connections_open", "Connections of clients that are open now.", &Counters::connections_open, true},
    CounterField{"connections_refused", "Connections refused over a limit, before any decision.",
                 &Counters::connections_refused},
    CounterField{"decisions_allowed", "Decisions that allowed a flow.", &Counters::decisions_allowed},
    CounterField{"decisions_denied", "Decisions that denied a flow.", &Counters::decisions_denied},
    CounterField{"probes_denied", "Denials caused by gateway verify.", &Counters::probes_denied},
    CounterField{"http_requests", "HTTP requests, each counted at its end.", &Counters::http_requests},
    CounterField{"bytes_in", "Bytes received from clients.", &Counters::bytes_in},
    CounterField{"bytes_out", "Bytes sent to clients.", &Counters::bytes_out},
    CounterField{"dns_queries", "DNS queries from clients.", &Counters::dns_queries},
    CounterField{"dns_denied", "DNS queries denied by policy, without asking upstream.", &Counters::dns_denied},
    CounterField{"dns_upstream_failures", "DNS queries that no upstream server answered.",
                 &Counters::dns_upstream_failures},
    CounterField{"dns_stale_answers",
                 "DNS queries answered from the expired cache, because no upstream server answered.",
                 &Counters::dns_stale_answers},
    CounterField{"upstream_failures", "Allowed connections that failed.", &Counters::upstream_failures},
    CounterField{"packets_logged", "Refused flows logged from their first packet.", &Counters::packets_logged},
    CounterField{"packets_suppressed", "Refused packets not logged, by a rate limit.", &Counters::packets_suppressed},
    CounterField{"log_records_dropped", "Dropped log records.", &Counters::log_records_dropped},
    CounterField{"reloads_accepted", "Policy reloads that took effect.", &Counters::reloads_accepted},
    CounterField{"reloads_refused", "Policy reloads refused because the new policy was invalid.",
                 &Counters::reloads_refused},
    CounterField{"workers_stalled", "Workers that have not responded for 1 s.", &Counters::workers_stalled, true},
};

}  // namespace

std::span<const CounterField> counter_fields() {
  return kFields;
}

std::string prometheus_text(const Counters& counters) {
  fmt::memory_buffer out;
  const auto sample = [&out](std::string_view name, std::string_view help, bool gauge, std::uint64_t value) {
    const std::string_view suffix = gauge ? "" : "_total";
    fmt::format_to(std::back_inserter(out),
                   "# HELP soleroute_{0}{1} {2}\n# TYPE soleroute_{0}{1} {3}\nsoleroute_{0}{1} {4}\n", name, suffix,
                   help, gauge ? "gauge" : "counter", value);
  };
  for (const CounterField& field : kFields) {
    sample(field.name, field.help, field.gauge, (counters.*field.member).load(std::memory_order_relaxed));
  }
  sample("policy_stale", "1 if the last reload failed and the previous policy is still active.", true,
         counters.policy_stale.load(std::memory_order_relaxed) ? 1 : 0);
  sample("log_failing", "1 if the log cannot be written: its reader is gone, full, or has not read for 2 s.", true,
         counters.log_fault.load(std::memory_order_relaxed) != 0 ? 1 : 0);
  return fmt::to_string(out);
}

}  // namespace soleroute::gateway::audit
