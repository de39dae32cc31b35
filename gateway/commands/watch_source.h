// Where `gateway watch` gets its lines: a log, or the stream of a running gateway.
// Used on one thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <variant>

#include "base/result.h"
#include "gateway/commands/control_stream.h"
#include "gateway/commands/line_source.h"

namespace soleroute::gateway::commands {

class WatchSource {
 public:
  using Taken = LineSource::Taken;

  // A log: "-" is standard input.
  [[nodiscard]] static base::Result<WatchSource> log(const std::string& file, bool follow);
  // The gateway at this control socket, or the one that choose_control_socket() finds.
  [[nodiscard]] static base::Result<WatchSource> gateway(const std::string& control);

  // Waits for a line; of a gateway, at most `most` (negative: as long as it takes).
  [[nodiscard]] Taken next(std::string& line, std::chrono::milliseconds most);
  // Does not wait.
  [[nodiscard]] Taken next_now(std::string& line);
  // To poll(2) for reading; -1: look again after LineSource::kLookAgainMs.
  [[nodiscard]] int waits_on() const;

  [[nodiscard]] bool is_gateway() const { return std::holds_alternative<ControlStream>(source_); }
  [[nodiscard]] const std::string& name() const { return name_; }
  // After kEnd, of a gateway: why.
  [[nodiscard]] const std::string& why_ended() const { return why_ended_; }

 private:
  template <class Source>
  WatchSource(Source source, std::string name) : source_(std::move(source)), name_(std::move(name)) {}
  [[nodiscard]] Taken from_gateway(ControlStream& stream, std::chrono::milliseconds wait, std::string& line);

  std::variant<LineSource, ControlStream> source_;
  std::string name_;  // the file, or the socket
  std::string why_ended_;
};

}  // namespace soleroute::gateway::commands
