// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/event.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "gateway/audit/log_text.h"
#include "gateway/watch/subject.h"

namespace soleroute::gateway::watch {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMostSeconds = std::int64_t{31} * 24 * 3600;

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::uint64_t number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

// Of an object of the log.
std::optional<Event> record_of(const Json& object) {
  auto line = audit::parse_log_line(object.dump(-1, ' ', true, Json::error_handler_t::replace));
  if (!line) return std::nullopt;
  Event event;
  event.line = std::move(*line);
  event.agent = text_of(object, "agent");
  return event;
}

std::optional<Event> held_of(const Json& held) {
  if (!held.contains("decision") || !held["decision"].is_object()) return std::nullopt;
  auto event = record_of(held["decision"]);
  if (!event || event->line.type != audit::LineType::kDecision) return std::nullopt;
  event->kind = EventKind::kHeld;
  event->id = number_of(held, "id");
  event->item = text_of(held, "item");
  event->left_s = static_cast<std::int64_t>(std::min<std::uint64_t>(number_of(held, "left_s"), kMostSeconds));
  return event;
}

Event settled_of(const Json& settled) {
  Event event;
  event.kind = EventKind::kSettled;
  event.id = number_of(settled, "id");
  event.verdict = text_of(settled, "verdict");
  return event;
}

}  // namespace

std::optional<Event> parse_event(std::string_view line) {
  const auto brace = line.find('{');
  if (line.size() > audit::kMaxLogLine || brace == std::string_view::npos) return std::nullopt;
  const Json object = Json::parse(line.substr(brace), nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const auto is_object = [&](const char* key) { return object.contains(key) && object[key].is_object(); };
  if (is_object("decision")) return record_of(object["decision"]);
  if (is_object("held")) return held_of(object["held"]);
  if (is_object("settled")) return settled_of(object["settled"]);
  if (object.contains("lost")) {
    Event event;
    event.kind = EventKind::kLost;
    event.lost = number_of(object, "lost");
    return event;
  }
  return record_of(object);
}

std::string event_text(const Event& event, bool colour) {
  switch (event.kind) {
    case EventKind::kRecord:
      return audit::log_text(event.line, colour);
    case EventKind::kHeld: {
      const auto subject = subject_of(event.line.decision);
      return fmt::format("{}  waits for an answer, {} s left{}", audit::log_text(event.line, colour), event.left_s,
                         subject ? "; to allow it: gateway allow " + *subject : "");
    }
    case EventKind::kSettled:
      return fmt::format("request {} no longer waits: {}", event.id, base::shown(event.verdict));
    case EventKind::kLost:
      break;
  }
  return fmt::format("{} lines lost: they came faster than they were read", event.lost);
}

bool is_notable(const Event& event) {
  return event.kind != EventKind::kRecord || audit::is_denial(event.line);
}

}  // namespace soleroute::gateway::watch
