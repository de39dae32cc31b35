// The counters by name: as Prometheus text and as a table that `gateway status` prints.
// Pure; reads each counter once.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gateway/audit/counters.h"

namespace soleroute::gateway::audit {

struct CounterField {
  std::string_view name;  // "connections_accepted"
  std::string_view help;  // one sentence
  Counter Counters::* member;
  bool gauge = false;  // can go down
};
[[nodiscard]] std::span<const CounterField> counter_fields();

// Text exposition format 0.0.4. Names begin with soleroute_; totals end with _total. No labels.
inline constexpr std::string_view kPrometheusContentType = "text/plain; version=0.0.4; charset=utf-8";
[[nodiscard]] std::string prometheus_text(const Counters& counters);

}  // namespace soleroute::gateway::audit
