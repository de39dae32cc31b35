// Events for the tests of what a watcher shows.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/watch/event.h"

namespace soleroute::gateway::watch::test {

// {"type":"decision",…} with what `more` adds: ",\"path\":\"/x\"".
inline std::string record(std::string_view action, std::string_view host, std::string_view reason,
                          std::string_view more = {}) {
  return fmt::format(
      R"({{"ts":"2026-01-02T03:04:05.678Z","type":"decision","action":"{}","phase":"http","client":"10.0.0.2","host":"{}",)"
      R"("scheme":"https","port":443,"method":"GET","reason":"{}"{}}})",
      action, host, reason, more);
}

inline Event denied(std::string_view host, std::string_view more = {}) {
  return parse_event(record("blocked", host, "host_not_allowed", more)).value_or(Event{});
}

inline Event allowed(std::string_view host) {
  return parse_event(record("allowed", host, "host_allowed")).value_or(Event{});
}

inline Event held(std::uint64_t id, std::string_view host, int left_s = 60) {
  return parse_event(fmt::format(R"({{"held":{{"id":{},"left_s":{},"decision":{}}}}})", id, left_s,
                                 record("blocked", host, "host_not_allowed")))
      .value_or(Event{});
}

inline Event settled(std::uint64_t id, std::string_view verdict) {
  return parse_event(fmt::format(R"({{"settled":{{"id":{},"verdict":"{}"}}}})", id, verdict)).value_or(Event{});
}

}  // namespace soleroute::gateway::watch::test
