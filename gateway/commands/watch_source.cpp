// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/watch_source.h"

#include <chrono>
#include <utility>

#include "gateway/commands/control_choice.h"

namespace soleroute::gateway::commands {

base::Result<WatchSource> WatchSource::log(const std::string& file, bool follow) {
  SR_LET(source, LineSource::open(file, follow));
  return WatchSource(std::move(*source), file == "-" ? "standard input" : file);
}

base::Result<WatchSource> WatchSource::gateway(const std::string& control) {
  SR_LET(chosen, choose_control_socket(control));
  SR_LET(stream, ControlStream::open(*chosen));
  return WatchSource(std::move(*stream), *chosen);
}

WatchSource::Taken WatchSource::from_gateway(ControlStream& stream, std::chrono::milliseconds wait, std::string& line) {
  auto next = stream.next(wait);
  if (!next) {
    why_ended_ = next.error().message;
    return Taken::kEnd;
  }
  if (!*next) return Taken::kNothingYet;
  line = std::move(**next);
  return Taken::kLine;
}

WatchSource::Taken WatchSource::next_now(std::string& line) {
  if (auto* stream = std::get_if<ControlStream>(&source_)) {
    return from_gateway(*stream, std::chrono::milliseconds(0), line);
  }
  return std::get<LineSource>(source_).next_now(line);
}

WatchSource::Taken WatchSource::next(std::string& line, std::chrono::milliseconds most) {
  if (auto* stream = std::get_if<ControlStream>(&source_)) {
    return from_gateway(*stream, most, line);
  }
  auto next = std::get<LineSource>(source_).next();
  if (!next) return Taken::kEnd;
  line = std::move(*next);
  return Taken::kLine;
}

int WatchSource::waits_on() const {
  if (const auto* stream = std::get_if<ControlStream>(&source_)) return stream->fd();
  return std::get<LineSource>(source_).waits_on();
}

}  // namespace soleroute::gateway::commands
