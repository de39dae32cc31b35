// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/host_name.h"
#include "base/text.h"
#include "gateway/watch/subject.h"

namespace soleroute::gateway::watch {
namespace {

using Json = nlohmann::json;
using Kind = Key::Kind;

constexpr int kFramingRows = 4;            // title, heading, hint, keys
constexpr std::size_t kBesideTarget = 30;  // words of the hint around it
constexpr std::size_t kBesideHeld = 44;    // of one that waits

std::string dumped(const Json& object) {
  return object.dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string field_text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

// What decides whether a key would still ask the same.
std::string identity(const Board::Row* row) {
  if (row == nullptr) return {};
  return row->event.kind == EventKind::kHeld ? "held " + row->key : target_text(*row);
}

// A word alone is a service to `gateway allow`, and a client can send it as its host.
bool reads_as_service(const Board::Row& row) {
  return row.event.kind == EventKind::kHeld && target_text(row).find_first_of(".:") == std::string::npos;
}

std::string_view verdict_of(char key) {
  switch (key) {
    case 'o':
      return "once";
    case 'a':
      return "for";
    case 'A':
      return "always";
    default:
      return "no";
  }
}

}  // namespace

std::string target_text(const Board::Row& row) {
  if (row.event.kind == EventKind::kHeld)
    return row.event.item.empty() ? place_of(row.event.line.decision) : row.event.item;
  const auto subject = subject_of(row.event.line.decision);
  if (!subject) return {};
  return row.event.agent.empty() ? *subject : fmt::format("{} (agent {})", *subject, row.event.agent);
}

std::size_t target_room(const Board::Row& row, Size size) {
  const auto columns = static_cast<std::size_t>(std::max(size.columns, 0));
  const auto words = row.event.kind == EventKind::kHeld ? kBesideHeld : kBesideTarget;
  return columns > words ? columns - words : 0;
}

void Session::settle(Clock::time_point changed) {
  auto now = identity(board_.selected());
  if (now == target_) return;
  target_ = std::move(now);
  target_since_ = changed;
}

void Session::add(Event event, Clock::time_point now) {
  board_.add(std::move(event), now);
  settle(now);
}

void Session::set_ended(std::string why) {
  ended_ = std::move(why);
  board_.forget_waiting();
  undo_.clear();
}

Session::Outcome Session::on_key(Key key, Clock::time_point now) {
  if (view_ == View::kFilter) {
    on_filter_key(key);
    settle(now - kSettling);
    return {};
  }
  if (key.kind == Kind::kCharacter) {
    auto outcome = on_character(key.character, now);
    settle(now - kSettling);
    return outcome;
  }
  message_.clear();
  if (key.kind == Kind::kEnter && board_.selected() != nullptr) {
    view_ = view_ == View::kDetails ? View::kRows : View::kDetails;
    board_.choose(0);
  } else if (key.kind == Kind::kEscape && view_ == View::kDetails) {
    view_ = View::kRows;
  } else if (key.kind == Kind::kEscape) {
    board_.set_filter({});
    board_.release();
  } else {
    on_move(key);
  }
  settle(now - kSettling);
  return {};
}

void Session::on_move(Key key) {
  const int page = std::max(1, size_.rows - kFramingRows);
  switch (key.kind) {
    case Kind::kUp:
      board_.choose(-1);
      break;
    case Kind::kDown:
      board_.choose(1);
      break;
    case Kind::kPageUp:
      board_.choose(-page);
      break;
    case Kind::kPageDown:
      board_.choose(page);
      break;
    case Kind::kHome:
      board_.choose_end(true);
      break;
    case Kind::kEnd:
      board_.choose_end(false);
      break;
    case Kind::kTab:
      board_.choose_waiting();
      break;
    default:
      break;
  }
}

void Session::on_filter_key(Key key) {
  std::string text = board_.filter();
  if (key.kind == Kind::kEnter || key.kind == Kind::kEscape) view_ = View::kRows;
  if (key.kind == Kind::kEscape) text.clear();
  if (key.kind == Kind::kBackspace && !text.empty()) text.pop_back();
  if (key.kind == Kind::kCharacter && text.size() < kMaxFilter) text += key.character;
  board_.set_filter(std::move(text));
}

Session::Outcome Session::on_character(char character, Clock::time_point now) {
  message_.clear();
  switch (character) {
    case 'q':
      return {.quit = std::exchange(view_, View::kRows) == View::kRows};
    case '/':
      view_ = View::kFilter;
      return {};
    case 'd':
      board_.set_only_denied(!board_.only_denied());
      return {};
    case 'h':
      board_.set_by_host(!board_.by_host());
      return {};
    case ' ':
    case 'p':
      board_.set_paused(!board_.paused());
      return {};
    case 'k':
      board_.choose(-1);
      return {};
    case 'j':
      board_.choose(1);
      return {};
    case 'a':
    case 'A':
    case 'o':
    case 'n':
      return ask(character, now);
    case 'u':
      return undo();
    default:
      return {};
  }
}

Session::Outcome Session::ask(char key, Clock::time_point now) {
  const auto* row = board_.selected();
  if (row == nullptr) return {};
  if (!asks()) {
    message_ = "This is a log, not a running gateway: Enter shows the lines that allow it.";
    if (!ended_.empty()) message_ = "No gateway is connected.";
    return {};
  }
  if (now < target_since_ + kSettling) {
    message_ = "The selected row has just changed: look, and press the key again.";
    return {};
  }
  if (key != 'n' && must_be_read_first(*row)) return {};
  if ((key == 'a' || key == 'A') && reads_as_service(*row)) {
    message_ = fmt::format("A service may have this name. Press o, or run: gateway allow https://{}/",
                           base::shown_ascii(target_text(*row), base::HostName::kMaxLength));
    return {};
  }
  if (row->event.kind == EventKind::kHeld) {
    Json question{{"ask", "answer"}, {"id", row->event.id}, {"verdict", verdict_of(key)}};
    if (key == 'a') question["for_s"] = kAllowedForSeconds;
    return {.question = dumped(question)};
  }
  if (key == 'o' || key == 'n') {
    message_ = "This request does not wait for an answer. Press a to allow it from now on.";
    return {};
  }
  return allow(*row, key == 'A');
}

// The line above the keys has no room for all of it.
bool Session::must_be_read_first(const Board::Row& row) {
  if (view_ == View::kDetails || target_text(row).size() <= target_room(row, size_)) return false;
  view_ = View::kDetails;
  board_.choose(0);
  message_ = "The name is too long for the line: read it here, and press the key again.";
  return true;
}

Session::Outcome Session::allow(const Board::Row& row, bool for_good) {
  const auto subject = subject_of(row.event.line.decision);
  if (!subject) {
    message_ = row.event.line.decision.allowed ? "This is allowed already."
                                               : "No key can allow this. Enter shows why, and what helps.";
    return {};
  }
  Json question{{"ask", "allow"}, {"host", *subject}};
  Json undo{{"ask", "forget"}, {"host", *subject}};
  if (!row.event.agent.empty()) question["agent"] = undo["agent"] = row.event.agent;
  if (for_good) {
    question["save"] = true;
    undo_.clear();
  } else {
    question["for_s"] = kAllowedForSeconds;
    undo_ = dumped(undo);
  }
  return {.question = dumped(question)};
}

Session::Outcome Session::undo() {
  if (!asks() || undo_.empty()) {
    message_ = "Nothing to undo here. See 'gateway allowed' and 'gateway forget'.";
    return {};
  }
  return {.question = std::exchange(undo_, {})};
}

void Session::answered(const base::Result<std::string>& answer) {
  if (!answer) {
    message_ = answer.error().message;
    return;
  }
  const Json object = Json::parse(*answer, nullptr, false);
  if (!object.is_object()) {
    message_ = "The gateway's answer is not what was expected.";
    return;
  }
  const bool accepted = object.value("accepted", Json(false)) == Json(true);
  std::string detail = field_text(object, "detail");
  if (detail.empty()) detail = field_text(object, "error");
  message_ = accepted ? detail : "Not allowed: " + detail;
  if (const auto warning = field_text(object, "warning"); !warning.empty()) message_ += " - warning: " + warning;
}

}  // namespace soleroute::gateway::watch
