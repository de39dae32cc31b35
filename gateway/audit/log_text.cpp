// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/log_text.h"

#include <fmt/format.h>

#include <string_view>

#include "base/text.h"
#include "base/web_ports.h"

namespace soleroute::gateway::audit {
namespace {

constexpr std::size_t kMaxShownField = 500;
constexpr std::size_t kMaxShownLines = 100;
constexpr std::string_view kMargin = "          ";  // as wide as a time
constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kPlain = "\x1b[0m";

std::string tame(std::string_view text) {
  return base::shown(text.substr(0, kMaxShownField));
}

// Each of its lines by itself: a fault of a policy has a caret below the place.
std::string tame_lines(std::string_view text) {
  const auto lines = base::lines_of(text);
  std::string out;
  for (std::size_t i = 0; i < lines.size() && i < kMaxShownLines; ++i) {
    if (i > 0) out.append("\n").append(kMargin);
    out += tame(lines[i]);
  }
  if (lines.size() > kMaxShownLines) {
    out += fmt::format("\n{}({} more lines)", kMargin, lines.size() - kMaxShownLines);
  }
  return out;
}

// "2026-11-24T03:05:01.118Z" gives "03:05:01".
std::string time_of(std::string_view ts) {
  constexpr std::size_t kDate = 11;
  constexpr std::size_t kTime = 8;
  return ts.size() < kDate + kTime ? tame(ts) : tame(ts.substr(kDate, kTime));
}

struct Word {
  std::string_view text;
  std::string_view colour;
};

Word verdict(const DecisionRecord& record) {
  if (record.allowed) return {"allow", kGreen};
  return record.observed ? Word{"would deny", kYellow} : Word{"deny", kRed};
}

Word heading(const LogLine& line) {
  if (line.type == LineType::kError || !line.accepted) return {"error", kRed};
  if (line.type == LineType::kReload) return {"reloaded", kGreen};
  return {line.event, line.event == "healthy" ? kGreen : std::string_view{}};
}

std::string subject(const DecisionRecord& record) {
  std::string out;
  if (!record.method.empty()) out += tame(record.method) + " ";
  if (!record.scheme.empty() && record.phase == policy::Phase::kHttp) out += tame(record.scheme) + "://";
  out += record.host.empty() ? tame(record.destination) : tame(record.host);
  const bool usual = record.port == 0 || base::is_web_port(record.port) || record.host.empty();
  if (!usual) out += fmt::format(":{}", record.port);
  return out + tame(record.path);
}

std::string who(const DecisionRecord& record) {
  if (!record.agent.empty()) return tame(record.agent);
  return record.client == base::IpAddress{} ? "-" : record.client.to_string();
}

std::string decision(const LogLine& line, bool colour) {
  const auto& record = line.decision;
  const Word word = line.probe ? Word{"probe", kPlain} : verdict(record);
  std::string out = fmt::format("{}  {}{:<10}{}  {:<15}  {:<7}  {}  {}", time_of(line.ts), colour ? word.colour : "",
                                word.text, colour ? kPlain : "", who(record), policy::to_string(record.phase),
                                subject(record), tame(record.reason));
  if (record.status) out += fmt::format(" {}", *record.status);
  if (!record.rule.empty()) out += fmt::format("  ({})", tame(record.rule));
  if (!record.detail.empty() && !record.allowed) out += fmt::format("  {}", tame(record.detail));
  return out;
}

}  // namespace

bool is_denial(const LogLine& line) {
  switch (line.type) {
    case LineType::kDecision:
      return !line.decision.allowed && !line.probe;
    case LineType::kReload:
      return !line.accepted;
    case LineType::kError:
      return true;
    case LineType::kLifecycle:
      break;
  }
  return false;
}

std::string log_text(const LogLine& line, bool colour) {
  if (line.type == LineType::kDecision) return decision(line, colour);
  const Word word = heading(line);
  const bool coloured = colour && !word.colour.empty();
  return fmt::format("{}  {}{:<10}{}  {}", time_of(line.ts), coloured ? word.colour : "", tame(word.text),
                     coloured ? kPlain : "", tame_lines(line.text));
}

}  // namespace soleroute::gateway::audit
