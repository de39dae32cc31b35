// The screen of a session as lines of text, for any terminal: printable ASCII, whatever a log has.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "gateway/watch/session.h"

namespace soleroute::gateway::watch {

enum class Style : std::uint8_t { kPlain, kBar, kHeading, kAllowed, kDenied, kWaiting, kQuiet, kKey };

struct Span {
  std::string text;
  Style style = Style::kPlain;
};

struct ScreenLine {
  std::vector<Span> spans{};
  bool selected = false;
};

// As many lines as the session's size has rows, none wider than its columns.
[[nodiscard]] std::vector<ScreenLine> draw(const Session& session, Session::Clock::time_point now);

// The text of a line alone.
[[nodiscard]] std::string text_of(const ScreenLine& line);

// A request in `room` characters. A long host keeps its end, which decides whose it is.
[[nodiscard]] std::string request_text(const audit::DecisionRecord& record, std::size_t room);

}  // namespace soleroute::gateway::watch
