// Lines of a file, of standard input, or of a file as it grows; a follower outlives truncation and replacement.
// Blocks; used on one thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace soleroute::gateway::commands {

class LineSource {
 public:
  // "-": standard input, to its end. `follow`: at the end of a file, wait for more.
  [[nodiscard]] static base::Result<LineSource> open(const std::string& path, bool follow);

  // The next line without its end, or nothing at the end. An over-long line is cut; what is cut off is no line.
  [[nodiscard]] std::optional<std::string> next();

  enum class Taken : std::uint8_t { kLine, kNothingYet, kEnd };
  // The same without waiting. `line` is set with kLine.
  [[nodiscard]] Taken next_now(std::string& line);
  // To poll(2) for reading; -1: a file that grows, to look at again kLookAgainMs later.
  [[nodiscard]] int waits_on() const { return follow_ ? -1 : fd_.get(); }
  static constexpr int kLookAgainMs = 200;

 private:
  LineSource(base::Fd fd, std::string path, bool follow)
      : fd_(std::move(fd)), path_(std::move(path)), follow_(follow) {}
  [[nodiscard]] bool fill();  // false: no more, now
  [[nodiscard]] std::optional<std::string> take(std::size_t end);
  [[nodiscard]] std::optional<std::string> line_in_hand();
  [[nodiscard]] std::optional<std::string> rest();
  void reopen_if_replaced();

  base::Fd fd_;
  std::string path_;
  bool follow_;
  bool cutting_ = false;  // the rest of an over-long line is still to come
  std::string buffer_;
};

// Of a log read to its end: an error if it has lines, and none of them was a record.
[[nodiscard]] base::Status check_is_log(const std::string& path, std::size_t lines, std::size_t records);

}  // namespace soleroute::gateway::commands
