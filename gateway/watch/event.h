// One line that a watcher reads, of a decision log or of a gateway's stream.
// Pure functions; the line is not trusted.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/audit/log_line.h"

namespace soleroute::gateway::watch {

enum class EventKind : std::uint8_t {
  kRecord,   // a line of the log
  kHeld,     // a request waits for an answer
  kSettled,  // it no longer waits
  kLost,     // lines did not fit into the gateway's buffer
};

struct Event {
  EventKind kind = EventKind::kRecord;
  audit::LogLine line{};    // of a record; the denial that is held
  std::string agent{};      // the agent that the policy names, if it does
  std::uint64_t id = 0;     // of held and settled
  std::string item{};       // of held: what an answer for longer than once would allow
  std::int64_t left_s = 0;  // of held
  std::string verdict{};    // of settled
  std::uint64_t lost = 0;
};

// Nothing for what is neither (gateway/serve/control_socket.h has the stream's lines).
[[nodiscard]] std::optional<Event> parse_event(std::string_view line);

// The event as one line of plain text for people, without a line end.
[[nodiscard]] std::string event_text(const Event& event, bool colour);

// Would `--denied` show it?
[[nodiscard]] bool is_notable(const Event& event);

}  // namespace soleroute::gateway::watch
