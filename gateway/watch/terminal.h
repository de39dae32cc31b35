// The terminal of a person who watches: shows lines and reads keys. The only part that knows ncurses.
// One at a time; used on one thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "gateway/watch/screen.h"
#include "gateway/watch/session.h"

namespace soleroute::gateway::watch {

class Terminal {
 public:
  // Standard output, and the keyboard of standard input or, if that is a pipe, of the process's terminal. An error if
  // there is no terminal or terminfo does not know it; nothing was changed then.
  [[nodiscard]] static base::Result<std::unique_ptr<Terminal>> open(bool colour);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  [[nodiscard]] int keyboard() const;  // to poll(2) for reading
  [[nodiscard]] Size size() const;
  [[nodiscard]] std::vector<Key> keys();  // those pressed since the last call
  void show(std::span<const ScreenLine> lines);
  void redraw();  // all of it, whatever the terminal shows now

 private:
  struct State;
  explicit Terminal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace soleroute::gateway::watch
