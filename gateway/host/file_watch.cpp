// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/file_watch.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>

#include "gateway/host/file_events.h"

namespace soleroute::gateway::host {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Descriptor = asio::posix::stream_descriptor;

// What differs once a path leads to another file, or its file has another content. Absent: there is no file.
using Print = std::optional<
    std::tuple<std::uint64_t, std::uint64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>>;

Print print_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return std::tuple{std::uint64_t{status.st_dev},         std::uint64_t{status.st_ino},
                    std::int64_t{status.st_size},         std::int64_t{status.st_mtim.tv_sec},
                    std::int64_t{status.st_mtim.tv_nsec}, std::int64_t{status.st_ctim.tv_sec},
                    std::int64_t{status.st_ctim.tv_nsec}};
}

}  // namespace

struct FileWatch::State : std::enable_shared_from_this<FileWatch::State> {
  State(asio::io_context& to, std::vector<std::string> which, Calls call, Pace at)
      : paths(std::move(which)), calls(std::move(call)), pace(at), timer(to), socket(to) {}

  base::Status listen_to_the_kernel() {
    SR_LET(opened, FileEvents::open());
    events = std::move(*opened);
    socket.assign(events->socket());
    return {};
  }

  // What changed until now is told too: the files were read before.
  void begin() {
    since = changed_at = Clock::now();
    missing_before = missing();
    look();
  }

  void listen() {
    if (!events || listening) return;
    listening = true;
    socket.async_wait(Descriptor::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->cancelled) return;
      self->listening = false;
      self->heard = true;
      self->wake_at(std::max(Clock::now(), self->looked + self->pace.pause));
    });
  }

  // The earliest moment that was asked for counts.
  void wake_at(Clock::time_point when) {
    if (next && *next <= when) return;
    next = when;
    timer.expires_at(when);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->cancelled) return;
      self->next.reset();
      self->look();
    });
  }

  void look() {
    if (events) {
      events->hear();
      events->watch(paths);  // before the files are looked at: what changes from here on is heard
    }
    notice();
    heard = false;
    looked = Clock::now();
    tell_if_settled();
    if (cancelled) return;
    wake_at(Clock::now() + pace.period);
    listen();
  }

  void notice() {
    std::vector<Print> now;
    now.reserve(paths.size());
    for (const std::string& path : paths) now.push_back(print_of(path));
    if (now == prints) return;
    const bool lost = std::ranges::count(now, Print{}) > missing_before;
    prints = std::move(now);
    changed_at = Clock::now();
    quiet = heard && !lost ? pace.quiet : pace.long_quiet;
    if (!since) since = changed_at;
  }

  void tell_if_settled() {
    if (!since) return;
    if (const auto path = events ? events->being_written() : std::nullopt) return wait_for_its_end(*path);
    const auto settled = std::min(changed_at + quiet, *since + pace.patience);
    if (Clock::now() < settled) return wake_at(settled);
    since.reset();
    said_open = false;
    missing_before = missing();
    calls.changed();
  }

  // Its end is an event.
  void wait_for_its_end(const std::string& path) {
    if (said_open) return;
    if (Clock::now() < *since + pace.open_for) return wake_at(*since + pace.open_for);
    said_open = true;
    calls.kept_open(path);
  }

  std::ptrdiff_t missing() const {
    return std::ranges::count_if(paths, [](const std::string& path) { return !print_of(path); });
  }

  void stop() {
    cancelled = true;
    timer.cancel();
    if (socket.is_open()) socket.release();  // which ends its wait; `events` closes it
  }

  std::vector<std::string> paths;
  Calls calls;
  Pace pace;
  asio::steady_timer timer;
  std::optional<FileEvents> events;
  Descriptor socket;  // borrowed from `events`
  std::vector<Print> prints;
  std::ptrdiff_t missing_before = 0;
  std::optional<Clock::time_point> since;  // of the first change that is not told
  Clock::time_point changed_at;            // of the latest
  std::chrono::milliseconds quiet{};
  std::optional<Clock::time_point> next;
  Clock::time_point looked;
  bool listening = false;
  bool heard = false;
  bool said_open = false;
  bool cancelled = false;
};

FileWatch::FileWatch(asio::io_context& io, std::vector<std::string> paths, Calls calls)
    : FileWatch(io, std::move(paths), std::move(calls), Pace{}) {}

FileWatch::FileWatch(asio::io_context& io, std::vector<std::string> paths, Calls calls, Pace pace)
    : state_(std::make_shared<State>(io, std::move(paths), std::move(calls), pace)) {}

FileWatch::~FileWatch() {
  cancel();
}

base::Status FileWatch::start() {
  auto heard = state_->listen_to_the_kernel();
  state_->begin();
  return heard;
}

void FileWatch::start_without_events() {
  state_->begin();
}

void FileWatch::cancel() {
  if (!state_->cancelled) state_->stop();
}

}  // namespace soleroute::gateway::host
