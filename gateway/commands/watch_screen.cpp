// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/watch_screen.h"

#include <poll.h>

#include <array>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <utility>

#include "gateway/commands/command.h"
#include "gateway/commands/control_question.h"
#include "gateway/watch/event.h"
#include "gateway/watch/screen.h"
#include "gateway/watch/session.h"

namespace soleroute::gateway::commands {
namespace {

using watch::Session;
using Clock = Session::Clock;

constexpr std::chrono::milliseconds kAnswerTimeout{30000};
constexpr std::chrono::milliseconds kLookAgain{1000};  // for a gateway that has ended
constexpr int kMostLinesAtOnce = 500;                  // then keys are read
constexpr int kTickMs = 500;                           // the seconds that are left

volatile std::sig_atomic_t ended_by = 0;  // the signal

void end_by(int signal) {
  ended_by = signal;
}

void end_at_signals() {
  struct sigaction action{};
  action.sa_handler = end_by;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

class Screen {
 public:
  Screen(WatchSource source, watch::Terminal& terminal, WatchScreenOptions options)
      : terminal_(terminal),
        name_(source.name()),
        is_gateway_(source.is_gateway()),
        session_(is_gateway_ ? Session::Source::kGateway : Session::Source::kLog, name_, std::move(options.policy)),
        source_(std::move(source)) {
    if (options.denied) (void)session_.on_key({.character = 'd'}, Clock::now());
  }

  int run() {
    while (ended_by == 0) {
      session_.set_size(terminal_.size());
      terminal_.show(watch::draw(session_, Clock::now()));
      const auto woken = wait();
      if (woken == Woken::kGone) break;
      for (const auto& key : terminal_.keys()) {
        if (!press(key)) return kExitDone;
      }
      if (source_) {
        take_lines();
      } else if (is_gateway_) {
        look_again();
      }
    }
    return kExitDone;
  }

 private:
  enum class Woken : std::uint8_t { kUp, kGone };

  // For a key, a line, or a moment.
  Woken wait() {
    const int lines = source_ ? source_->waits_on() : -1;
    const bool full = std::exchange(more_, false);
    std::array<pollfd, 2> ready{
        {{.fd = terminal_.keyboard(), .events = POLLIN, .revents = 0}, {.fd = lines, .events = POLLIN, .revents = 0}}};
    const int most = lines < 0 && source_ ? LineSource::kLookAgainMs : kTickMs;
    (void)::poll(ready.data(), ready.size(), full ? 0 : most);
    return (ready[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 ? Woken::kGone : Woken::kUp;
  }

  // False: it ends.
  bool press(watch::Key key) {
    const auto outcome = session_.on_key(key, Clock::now());
    if (outcome.quit) return false;
    if (!outcome.question.empty()) {
      session_.answered(ask_gateway_object(name_, outcome.question, kAnswerTimeout));
    }
    return true;
  }

  void take_lines() {
    std::string line;
    for (int i = 0; i < kMostLinesAtOnce; ++i) {
      const auto taken = source_->next_now(line);
      if (taken == WatchSource::Taken::kNothingYet) return;
      if (taken == WatchSource::Taken::kEnd) {
        session_.set_ended(is_gateway_ ? source_->why_ended() : "the log has ended");
        source_.reset();
        return;
      }
      if (auto event = watch::parse_event(line)) session_.add(std::move(*event), Clock::now());
    }
    more_ = true;
  }

  void look_again() {
    if (Clock::now() < next_look_) return;
    next_look_ = Clock::now() + kLookAgain;
    auto again = WatchSource::gateway(name_);
    if (!again) return;
    source_.emplace(std::move(*again));
    session_.set_ended({});
  }

  watch::Terminal& terminal_;
  std::string name_;
  bool is_gateway_;
  Session session_;
  std::optional<WatchSource> source_;
  Clock::time_point next_look_{};
  bool more_ = false;
};

}  // namespace

int watch_on_screen(WatchSource source, watch::Terminal& terminal, WatchScreenOptions options) {
  end_at_signals();
  Screen screen(std::move(source), terminal, std::move(options));
  return screen.run();
}

}  // namespace soleroute::gateway::commands
