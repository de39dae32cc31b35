// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/board.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include "gateway/audit/log_text.h"
#include "gateway/audit/suggestion.h"

namespace soleroute::gateway::watch {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool contains_any_case(std::string_view text, std::string_view part) {
  const auto same = [](char left, char right) { return lower(left) == lower(right); };
  return std::ranges::search(text, part, same).begin() != text.end() || part.empty();
}

bool is_decision(const Event& event) {
  return event.line.type == audit::LineType::kDecision;
}

std::string searched(const Board::Row& row) {
  return fmt::format("{} {} {}", audit::log_text(row.event.line, false), row.event.agent, row.key);
}

}  // namespace

std::string place_of(const audit::DecisionRecord& record) {
  return record.host.empty() ? record.destination : record.host;
}

void Board::count(const Event& event) {
  const auto& record = event.line.decision;
  const auto times = audit::times(record);
  (record.allowed ? allowed_ : denied_) += times;
  const std::string host = place_of(record);
  const auto found = hosts_.find(host);
  if (found == hosts_.end() && hosts_.size() == kMaxHosts) return;
  Row& row = hosts_[host];
  row.key = "host " + host;
  (record.allowed ? row.allowed : row.denied) += times;
  // The latest denial says more than an allowed request after it.
  if (!record.allowed || row.denied == 0) row.event = event;
}

void Board::add(Event event, Clock::time_point now) {
  if (event.kind == EventKind::kLost) {
    lost_ += event.lost;
    return;
  }
  if (event.kind == EventKind::kSettled) {
    std::erase_if(waiting_, [&](const Row& row) { return row.event.id == event.id; });
    return;
  }
  Row row{.key = fmt::format("{}", next_), .number = next_, .event = std::move(event)};
  ++next_;
  if (row.event.kind == EventKind::kHeld) {
    if (waiting_.size() == kMaxWaiting) return;
    row.until = now + std::chrono::seconds(row.event.left_s);
    waiting_.push_back(std::move(row));
    return;
  }
  if (is_decision(row.event) && !row.event.line.probe) count(row.event);
  rows_.push_back(std::move(row));
  if (rows_.size() > kMaxRows) rows_.pop_front();
}

void Board::forget_waiting() {
  waiting_.clear();
}

void Board::set_by_host(bool on) {
  by_host_ = on;
  chosen_.clear();
}

void Board::set_paused(bool on) {
  paused_ = on;
  paused_at_ = next_;
}

bool Board::is_shown(const Row& row) const {
  if (only_denied_ && !is_notable(row.event)) return false;
  return filter_.empty() || contains_any_case(searched(row), filter_);
}

std::vector<const Board::Row*> Board::rows() const {
  std::vector<const Row*> out;
  if (by_host_) {
    for (const auto& [host, row] : hosts_) {
      if (is_shown(row) || (row.denied > 0 && filter_.empty())) out.push_back(&row);
    }
    std::ranges::sort(out, [](const Row* left, const Row* right) {
      return std::tie(right->denied, right->allowed, left->key) < std::tie(left->denied, left->allowed, right->key);
    });
  } else {
    for (const Row& row : rows_) {
      if (paused_ && row.number >= paused_at_) break;
      if (is_shown(row)) out.push_back(&row);
    }
  }
  for (const Row& row : waiting_) out.push_back(&row);
  return out;
}

const Board::Row* Board::selected() const {
  const auto shown = rows();
  const auto found = std::ranges::find_if(shown, [&](const Row* row) { return row->key == chosen_; });
  if (!chosen_.empty() && found != shown.end()) return *found;
  if (!waiting_.empty()) return &waiting_.front();
  if (by_host_) return shown.empty() ? nullptr : shown.front();
  for (auto row = shown.rbegin(); row != shown.rend(); ++row) {
    if (is_decision((*row)->event) && audit::is_denial((*row)->event.line)) return *row;
  }
  return shown.empty() ? nullptr : shown.back();
}

void Board::choose(std::ptrdiff_t steps) {
  const auto shown = rows();
  const Row* now = selected();
  if (now == nullptr) return;
  const auto at = std::ranges::find(shown, now) - shown.begin();
  const auto to = std::clamp<std::ptrdiff_t>(at + steps, 0, std::ssize(shown) - 1);
  chosen_ = shown[static_cast<std::size_t>(to)]->key;
}

void Board::choose_end(bool first) {
  const auto shown = rows();
  if (!shown.empty()) chosen_ = (first ? shown.front() : shown.back())->key;
}

void Board::choose_waiting() {
  if (waiting_.empty()) return;
  const auto at = std::ranges::find_if(waiting_, [&](const Row& row) { return row.key == chosen_; });
  const auto next = at == waiting_.end() || at + 1 == waiting_.end() ? waiting_.begin() : at + 1;
  chosen_ = next->key;
}

}  // namespace soleroute::gateway::watch
