// What a person does at the screen: keys move, filter and pause, and some ask the gateway something.
// A plain value without a clock or terminal: keys and times are passed in.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gateway/watch/board.h"
#include "policy/policy.h"

namespace soleroute::gateway::watch {

struct Size {
  int rows = 0;
  int columns = 0;
};

struct Key {
  enum class Kind : std::uint8_t {
    kCharacter,
    kEnter,
    kEscape,
    kBackspace,
    kTab,
    kUp,
    kDown,
    kPageUp,
    kPageDown,
    kHome,
    kEnd,
  };
  Kind kind = Kind::kCharacter;
  char character = '\0';
};

class Session {
 public:
  using Clock = Board::Clock;
  // A key that asks the gateway is refused so soon after the selection changed by itself: it was meant for another row.
  static constexpr std::chrono::milliseconds kSettling{700};
  static constexpr std::size_t kMaxFilter = 100;
  static constexpr int kAllowedForSeconds = 900;

  enum class Source : std::uint8_t { kLog, kGateway };
  enum class View : std::uint8_t { kRows, kDetails, kFilter };

  Session(Source source, std::string name, std::shared_ptr<const policy::Policy> policy)
      : source_(source), name_(std::move(name)), policy_(std::move(policy)) {}

  void set_size(Size size) { size_ = size; }
  void add(Event event, Clock::time_point now);
  // The source has ended or is there again; "" is no news.
  void set_ended(std::string why);

  struct Outcome {
    bool quit = false;
    std::string question{};  // a JSON object to ask the gateway, if not empty
  };
  [[nodiscard]] Outcome on_key(Key key, Clock::time_point now);
  // What the gateway answered: a JSON object, or why there is none.
  void answered(const base::Result<std::string>& answer);

  [[nodiscard]] const Board& board() const { return board_; }
  [[nodiscard]] View view() const { return view_; }
  [[nodiscard]] Size size() const { return size_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] const std::string& ended() const { return ended_; }
  [[nodiscard]] const policy::Policy& policy() const { return *policy_; }
  [[nodiscard]] bool asks() const { return source_ == Source::kGateway && ended_.empty(); }

 private:
  [[nodiscard]] Outcome on_character(char character, Clock::time_point now);
  [[nodiscard]] Outcome ask(char key, Clock::time_point now);
  [[nodiscard]] Outcome allow(const Board::Row& row, bool for_good);
  [[nodiscard]] bool must_be_read_first(const Board::Row& row);
  [[nodiscard]] Outcome undo();
  void on_filter_key(Key key);
  void on_move(Key key);
  // Notes when what a key would ask about has changed by itself, or by a key.
  void settle(Clock::time_point changed);

  Source source_;
  std::string name_;
  std::shared_ptr<const policy::Policy> policy_;
  Board board_;
  Size size_{.rows = 24, .columns = 80};
  View view_ = View::kRows;
  std::string message_;
  std::string ended_;
  std::string target_;  // what a key would ask about
  Clock::time_point target_since_{};
  std::string undo_;  // the question that takes the last answer back
};

// The item that a key would allow, with the agent behind it; empty if there is none. Of a request that waits, what an
// answer for longer than once would allow.
[[nodiscard]] std::string target_text(const Board::Row& row);
// The room for a target on the screen: what is longer is shown in the details alone, and allowed there.
[[nodiscard]] std::size_t target_room(const Board::Row& row, Size size);

}  // namespace soleroute::gateway::watch
