// What a watcher has seen, and which row is selected. Bounded: the oldest rows go.
// A plain value without a clock: times are passed in.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "gateway/watch/event.h"

namespace soleroute::gateway::watch {

class Board {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxRows = 2000;
  static constexpr std::size_t kMaxHosts = 1000;
  static constexpr std::size_t kMaxWaiting = 256;

  struct Row {
    std::string key{};         // the same as long as it is the same row
    std::uint64_t number = 0;  // counts up
    Event event{};
    Clock::time_point until{};  // of one that waits: when the gateway answers "no" itself
    std::uint64_t allowed = 0;  // of a host
    std::uint64_t denied = 0;
  };

  void add(Event event, Clock::time_point now);
  // The gateway has ended: nothing waits any more.
  void forget_waiting();

  [[nodiscard]] std::uint64_t allowed() const { return allowed_; }
  [[nodiscard]] std::uint64_t denied() const { return denied_; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  [[nodiscard]] bool by_host() const { return by_host_; }
  [[nodiscard]] bool only_denied() const { return only_denied_; }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] const std::string& filter() const { return filter_; }
  void set_by_host(bool on);
  void set_only_denied(bool on) { only_denied_ = on; }
  void set_paused(bool on);
  void set_filter(std::string text) { filter_ = std::move(text); }  // any case, anywhere in the row

  // In the order of the screen: those that wait come last. Borrows until the next change.
  [[nodiscard]] std::vector<const Row*> rows() const;

  // The selected row. Without choose(), the oldest that waits, or else the latest denial.
  [[nodiscard]] const Row* selected() const;
  [[nodiscard]] bool chosen() const { return !chosen_.empty(); }
  void choose(std::ptrdiff_t steps);  // rows down; the selection stays on that row from now on
  void choose_end(bool first);
  void choose_waiting();  // the next one that waits
  void release() { chosen_.clear(); }

 private:
  [[nodiscard]] bool is_shown(const Row& row) const;
  void count(const Event& event);

  std::deque<Row> rows_;
  std::vector<Row> waiting_;
  std::map<std::string, Row> hosts_;
  std::uint64_t next_ = 1;
  std::uint64_t paused_at_ = 0;
  std::uint64_t allowed_ = 0;
  std::uint64_t denied_ = 0;
  std::uint64_t lost_ = 0;
  std::string chosen_;
  std::string filter_;
  bool by_host_ = false;
  bool only_denied_ = false;
  bool paused_ = false;
};

// The host of a record, or where the flow was going.
[[nodiscard]] std::string place_of(const audit::DecisionRecord& record);

}  // namespace soleroute::gateway::watch
