// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "base/web_ports.h"
#include "gateway/audit/log_text.h"
#include "gateway/audit/suggestion.h"
#include "gateway/watch/subject.h"
#include "policy/explanation.h"

namespace soleroute::gateway::watch {
namespace {

constexpr std::size_t kMostText = 4096;
constexpr std::size_t kVerdictWidth = 10;
constexpr std::size_t kWhoWidth = 15;
constexpr std::size_t kReasonWidth = 20;
constexpr std::size_t kWideEnoughForWho = 100;
constexpr std::string_view kCut = "..";

std::string plain(std::string_view text) {
  return base::shown_ascii(text, kMostText);
}

std::string cut(std::string text, std::size_t room) {
  if (text.size() <= room) return text;
  if (room <= kCut.size()) return text.substr(0, room);
  return text.substr(0, room - kCut.size()) + std::string(kCut);
}

std::string cut_front(std::string text, std::size_t room) {
  if (text.size() <= room) return text;
  if (room <= kCut.size()) return text.substr(text.size() - room);
  return std::string(kCut) + text.substr(text.size() - (room - kCut.size()));
}

std::string padded(std::string text, std::size_t width) {
  text = cut(std::move(text), width);
  text.resize(width, ' ');
  return text;
}

// "2026-11-24T03:05:01.118Z" gives "03:05:01".
std::string time_of(const audit::LogLine& line) {
  constexpr std::size_t kDate = 11;
  constexpr std::size_t kTime = 8;
  return line.ts.size() < kDate + kTime ? std::string(kTime, ' ') : plain(line.ts.substr(kDate, kTime));
}

Span verdict_of(const Board::Row& row, Session::Clock::time_point now) {
  const auto& line = row.event.line;
  if (row.event.kind == EventKind::kHeld) {
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(row.until - now).count();
    return {fmt::format("waits {}s", std::max<std::int64_t>(0, left)), Style::kWaiting};
  }
  if (line.type == audit::LineType::kError || !line.accepted) return {"error", Style::kDenied};
  if (line.type == audit::LineType::kReload) return {"reloaded", Style::kAllowed};
  if (line.type == audit::LineType::kLifecycle) return {plain(line.event), Style::kQuiet};
  if (line.probe) return {"probe", Style::kQuiet};
  if (line.decision.allowed) return {"allow", Style::kAllowed};
  return line.decision.observed ? Span{"would deny", Style::kWaiting} : Span{"deny", Style::kDenied};
}

std::string who(const Event& event) {
  if (!event.agent.empty()) return plain(event.agent);
  const auto& client = event.line.decision.client;
  return client == base::IpAddress{} ? "-" : client.to_string();
}

struct Columns {
  std::size_t who = 0;  // 0: not shown
  std::size_t request = 0;
  std::size_t reason = kReasonWidth;
};

Columns columns_of(std::size_t width) {
  constexpr std::size_t kTimeWidth = 8;
  constexpr std::size_t kGap = 2;
  constexpr std::size_t kLeastRequest = 10;
  Columns out;
  std::size_t used = kTimeWidth + kGap + kVerdictWidth + kGap + kGap + kReasonWidth;
  if (width >= kWideEnoughForWho) {
    out.who = kWhoWidth;
    used += kWhoWidth + kGap;
  }
  out.request = width > used + kLeastRequest ? width - used : kLeastRequest;
  return out;
}

ScreenLine heading(const Session& session, std::size_t width) {
  if (session.board().by_host()) {
    return {{{padded(fmt::format("{:>8}  {:>8}  host", "denied", "allowed"), width), Style::kHeading}}};
  }
  const auto columns = columns_of(width);
  std::string text = "time      verdict     ";
  if (columns.who > 0) text += padded("client", columns.who) + "  ";
  text += padded("request", columns.request) + "  reason";
  return {{{padded(std::move(text), width), Style::kHeading}}};
}

ScreenLine host_line(const Board::Row& row, std::size_t width) {
  constexpr std::size_t kBefore = 20;
  const auto room = width > kBefore ? width - kBefore : 0;
  return {{{fmt::format("{:>8}", row.denied), row.denied > 0 ? Style::kDenied : Style::kQuiet},
           {fmt::format("  {:>8}  ", row.allowed), Style::kPlain},
           {padded(cut_front(plain(place_of(row.event.line.decision)), room), room), Style::kPlain}}};
}

ScreenLine row_line(const Board::Row& row, std::size_t width, Session::Clock::time_point now) {
  if (row.allowed + row.denied > 0) return host_line(row, width);
  const auto& line = row.event.line;
  auto verdict = verdict_of(row, now);
  ScreenLine out{
      {{time_of(line) + "  ", Style::kQuiet}, {padded(std::move(verdict.text), kVerdictWidth), verdict.style}}};
  const auto columns = columns_of(width);
  if (line.type != audit::LineType::kDecision) {
    const auto used = 2 * 2 + 8 + kVerdictWidth;
    out.spans.push_back({"  " + padded(plain(line.text), width > used ? width - used + 2 : 0), Style::kPlain});
    return out;
  }
  std::string text = "  ";
  if (columns.who > 0) text += padded(who(row.event), columns.who) + "  ";
  text += padded(request_text(line.decision, columns.request), columns.request);
  out.spans.push_back({std::move(text), Style::kPlain});
  out.spans.push_back({"  " + padded(plain(line.decision.reason), columns.reason), Style::kQuiet});
  return out;
}

ScreenLine title(const Session& session, std::size_t width) {
  const auto& board = session.board();
  std::string text = fmt::format(" gateway watch  {} allowed  {} denied", board.allowed(), board.denied());
  if (board.waiting() > 0) text += fmt::format("  {} waiting", board.waiting());
  if (board.lost() > 0) text += fmt::format("  {} lost", board.lost());
  if (board.only_denied()) text += "  [denials only]";
  if (!board.filter().empty()) text += fmt::format("  [filter: {}]", plain(board.filter()));
  if (board.paused()) text += "  [paused]";
  text += session.ended().empty() ? "  " + plain(session.name()) : "  [" + plain(session.ended()) + "]";
  return {{{padded(std::move(text), width), Style::kBar}}};
}

// What the keys would do to the selected row.
std::string hint(const Session& session) {
  const auto* row = session.board().selected();
  if (row == nullptr) return "Nothing yet. Decisions appear here as they are made.";
  const auto& record = row->event.line.decision;
  if (row->event.kind == EventKind::kHeld) {
    if (target_text(*row).size() > target_room(*row, session.size()))
      return "Press a to read the name, then to answer.";
    return fmt::format("Let {} pass? o once, a 15 min, A always, n no", plain(target_text(*row)));
  }
  if (row->event.line.type != audit::LineType::kDecision) return {};
  if (record.allowed)
    return fmt::format("{} is allowed{}", plain(place_of(record)),
                       record.rule.empty() ? "" : " by " + plain(record.rule));
  const auto target = target_text(*row);
  if (target.empty()) return "Enter shows why this was denied, and what helps.";
  if (!session.asks()) return "Enter shows the lines that would allow it.";
  if (target.size() > target_room(*row, session.size())) return "Press a to read the name, then to allow it.";
  return fmt::format("Press a to allow {} for 15 min", plain(target));
}

std::string keys(const Session& session) {
  using View = Session::View;
  if (session.view() == View::kFilter) return "type a host, path, client or reason  Enter done  Esc clear";
  const std::string ask = !session.asks()                 ? ""
                          : session.board().waiting() > 0 ? "o once  a 15 min  A always  n no  Tab next waiting  "
                                                          : "a allow 15 min  A always  u undo  ";
  if (session.view() == View::kDetails) return ask + "Enter back  q back";
  if (session.board().waiting() > 0) return ask + "Enter details  q quit";
  return ask + "Enter details  / filter  d denials  h hosts  space pause  q quit";
}

// Wrapped at `width`, at most `most` lines.
void add_wrapped(std::vector<ScreenLine>& out, std::string_view text, std::size_t width, std::size_t most) {
  for (const auto line : base::lines_of(text)) {
    std::string rest = plain(line);
    do {
      if (out.size() >= most) return;
      out.push_back({{{rest.substr(0, width), Style::kPlain}}});
      rest.erase(0, width);
    } while (!rest.empty());
  }
}

std::string field(std::string_view name, std::string_view value) {
  return value.empty() ? std::string{} : fmt::format("{:<12}{}\n", name, plain(value));
}

// The lines of a policy, and the command, that would allow it.
std::string remedy(const Session& session, const Board::Row& row) {
  const auto& record = row.event.line.decision;
  if (record.allowed) return {};
  const std::string lines = audit::lines_to_allow(record, session.policy());
  const auto subject = subject_of(record);
  std::string out;
  if (subject) {
    out += fmt::format("\nTo allow it now:\n  gateway allow {}{}\n", plain(*subject),
                       row.event.agent.empty() ? "" : " --agent " + plain(row.event.agent));
  }
  if (!lines.empty()) {
    out += fmt::format("\nThe same in {}:\n{}", policy::policy_file(session.policy()), base::indented(lines, "  "));
  }
  return out.empty() ? "\nA policy cannot allow this.\n" : out;
}

std::string details(const Session& session, const Board::Row& row) {
  const auto& line = row.event.line;
  const auto& record = line.decision;
  if (line.type != audit::LineType::kDecision) return field("time", line.ts) + field("event", line.event) + line.text;
  std::string out;
  if (const auto target = target_text(row); !target.empty()) {
    out = field("would allow", target) + "\n";
  }
  out += field("time", line.ts) + field("verdict", record.allowed    ? "allowed"
                                                   : record.observed ? "would be denied"
                                                                     : "denied");
  out += field("reason", record.reason) + field("rule", record.rule) + field("agent", row.event.agent);
  out += field("client", record.client == base::IpAddress{} ? "" : record.client.to_string());
  out += field("phase", policy::to_string(record.phase)) + field("method", record.method);
  out += field("host", record.host) + field("port", record.port == 0 ? "" : fmt::format("{}", record.port));
  out += field("path", record.path) + field("destination", record.destination) + field("address", record.resolved);
  out += field("status", record.status ? fmt::format("{}", *record.status) : "") + field("detail", record.detail);
  return out + remedy(session, row);
}

// The rows between heading and hint; the selected one is always among them.
void add_rows(std::vector<ScreenLine>& out, const Session& session, std::size_t most, Session::Clock::time_point now) {
  const auto rows = session.board().rows();
  const auto* selected = session.board().selected();
  const auto at = static_cast<std::size_t>(std::ranges::find(rows, selected) - rows.begin());
  std::size_t first = rows.size() > most && !session.board().by_host() ? rows.size() - most : 0;
  if (at < first) first = at;
  if (at < rows.size() && at >= first + most) first = at + 1 - most;
  for (std::size_t i = first; i < rows.size() && i < first + most; ++i) {
    out.push_back(row_line(*rows[i], static_cast<std::size_t>(session.size().columns), now));
    out.back().selected = rows[i] == selected;
  }
}

}  // namespace

std::string request_text(const audit::DecisionRecord& record, std::size_t room) {
  std::string before = record.method.empty() ? std::string{} : cut(plain(record.method), 10) + " ";
  std::string host = plain(place_of(record));
  const bool usual = record.port == 0 || base::is_web_port(record.port) || record.host.empty();
  if (!usual) host += fmt::format(":{}", record.port);
  if (before.size() + host.size() > room) {
    if (before.size() * 2 > room) before.clear();
    return before + cut_front(std::move(host), room - before.size());
  }
  return cut(before + host + plain(record.path), room);
}

std::string text_of(const ScreenLine& line) {
  std::string out;
  for (const auto& span : line.spans) out += span.text;
  return out;
}

std::vector<ScreenLine> draw(const Session& session, Session::Clock::time_point now) {
  const auto width = static_cast<std::size_t>(std::max(1, session.size().columns));
  const auto height = static_cast<std::size_t>(std::max(1, session.size().rows));
  constexpr std::size_t kFrame = 4;
  const std::size_t most = height > kFrame ? height - kFrame : 0;
  std::vector<ScreenLine> out{title(session, width)};
  const auto* selected = session.board().selected();
  if (session.view() == Session::View::kDetails && selected != nullptr) {
    add_wrapped(out, details(session, *selected), width, most + 2);
  } else {
    out.push_back(heading(session, width));
    add_rows(out, session, most, now);
  }
  out.resize(std::max(out.size(), most + 2));
  const std::string& message = session.message();
  const std::string first = message.substr(0, message.find('\n'));
  out.push_back(message.empty() ? ScreenLine{{{cut(hint(session), width), Style::kKey}}}
                                : ScreenLine{{{cut(plain(first), width), Style::kWaiting}}});
  if (session.view() == Session::View::kFilter) {
    out.back() = {{{cut_front("filter: " + plain(session.board().filter()) + "_", width), Style::kKey}}};
  }
  out.push_back({{{padded(keys(session), width), Style::kBar}}});
  out.resize(height);
  return out;
}

}  // namespace soleroute::gateway::watch
