// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/line_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "gateway/audit/json_line.h"

namespace soleroute::gateway::audit {
namespace {

using Clock = std::chrono::steady_clock;

// A pipe that poll(2) calls writable takes this much without blocking.
constexpr std::size_t kPipeChunk = PIPE_BUF;
constexpr std::size_t kFileChunk = std::size_t{256} << 10;
constexpr std::chrono::milliseconds kLastTries{20};  // between writes that fail while the writer is being destroyed

bool is_regular(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

struct LineWriter::State {
  State(base::Fd fd, Counter* dropped_counter, std::atomic<int>* shown_fault, Shown how)
      : stream(std::move(fd)),
        chunk(is_regular(stream.get()) ? kFileChunk : kPipeChunk),
        counter(dropped_counter),
        fault(shown_fault),
        shown(std::move(how)) {}

  const base::Fd stream;
  const std::size_t chunk;
  Counter* const counter;
  std::atomic<int>* const fault;
  const Shown shown;  // may be empty

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable finished;
  std::string queued;                                            // guarded by mutex, as all below
  std::size_t queued_lines = 0;                                  // including those the thread holds and has not written
  std::uint64_t dropped = 0;                                     // not yet reported
  std::map<std::string, std::uint64_t, std::less<>> suppressed;  // likewise, by client; "": further ones
  Clock::time_point next_report{};                               // of what is suppressed
  bool asleep = false;
  bool stopping = false;
  bool done = false;
  Clock::time_point give_up = Clock::time_point::max();

  std::thread thread;

  void run();
  bool take(std::string& batch, std::size_t& lines);
  void append_drop_report(std::string& batch, std::size_t& lines);
  void append_suppressed(std::string& batch, std::size_t& lines);
  [[nodiscard]] bool has_work() const { return stopping || !queued.empty() || dropped > 0; }
  void tell_fault(int error) {
    if (fault != nullptr && fault->load(std::memory_order_relaxed) != error) *fault = error;
  }
  bool deliver(std::string_view batch, std::size_t lines);
  [[nodiscard]] std::size_t next_chunk(std::string_view rest) const;
  bool pause(std::chrono::milliseconds duration);
  bool wait_writable();
  void lose(std::size_t lines);
  void lose_queued();
};

namespace {

// Signals belong to the main thread; a write to a closed pipe or over RLIMIT_FSIZE must only fail here.
void block_signals() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

std::string each_shown(std::string_view batch, const LineWriter::Shown& shown) {
  std::string all;
  while (!batch.empty()) {
    const auto end = batch.find('\n') + 1;
    all += shown(batch.substr(0, end));
    batch.remove_prefix(end);
  }
  return all;
}

}  // namespace

// False: nothing left and stopping.
bool LineWriter::State::take(std::string& batch, std::size_t& lines) {
  std::unique_lock lock(mutex);
  while (!has_work()) {
    asleep = true;
    if (suppressed.empty()) {
      wake.wait(lock);
    } else if (wake.wait_until(lock, next_report) == std::cv_status::timeout) {
      break;
    }
  }
  asleep = false;
  wake.wait_for(lock, kBatch, [this] { return stopping; });
  batch.clear();
  std::swap(batch, queued);
  lines = queued_lines;
  append_drop_report(batch, lines);
  append_suppressed(batch, lines);
  queued_lines = lines;
  return !batch.empty() || !stopping;
}

void LineWriter::State::append_suppressed(std::string& batch, std::size_t& lines) {
  if (suppressed.empty() || (!stopping && Clock::now() < next_report)) return;
  for (const auto& [client, count] : suppressed) {
    std::string text;
    JsonLine line(text, std::chrono::system_clock::now(), "error");
    line.text("reason", "log_suppressed");
    line.text("client", client);
    line.text("message", client.empty() ? "too many denials of other clients; some were not logged"
                                        : "too many denials of this client; some were not logged");
    line.number("suppressed", static_cast<std::int64_t>(count));
    line.finish();
    batch += text;
    ++lines;
  }
  suppressed.clear();
  next_report = Clock::now() + kReportEvery;
}

void LineWriter::State::append_drop_report(std::string& batch, std::size_t& lines) {
  if (dropped == 0) return;
  std::string text;
  JsonLine line(text, std::chrono::system_clock::now(), "error");
  line.text("reason", "log_suppressed");
  line.text("message", "log records were dropped: the log's reader was slow, gone or full");
  line.number("suppressed", static_cast<std::int64_t>(dropped));
  line.finish();
  batch += text;
  ++lines;
  dropped = 0;
}

// True: give up, the writer is being destroyed and its time is over.
bool LineWriter::State::pause(std::chrono::milliseconds duration) {
  std::unique_lock lock(mutex);
  if (stopping) {
    wake.wait_for(lock, kLastTries);
  } else {
    wake.wait_for(lock, duration, [this] { return stopping; });
  }
  return Clock::now() >= give_up;
}

// False: give up.
bool LineWriter::State::wait_writable() {
  constexpr int kSliceMs = 50;  // how soon a stop is noticed while the receiver is blocked
  const auto slow = Clock::now() + kSlow;
  for (;;) {
    pollfd ready{.fd = stream.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, kSliceMs) > 0) return true;
    if (Clock::now() >= slow) tell_fault(ETIMEDOUT);
    const std::lock_guard lock(mutex);
    if (Clock::now() >= give_up) return false;
  }
}

void LineWriter::State::lose(std::size_t lines) {
  const std::lock_guard lock(mutex);
  dropped += lines;
  if (counter != nullptr) counter->fetch_add(lines, std::memory_order_relaxed);
}

// What nobody will write any more: the last batch was given up.
void LineWriter::State::lose_queued() {
  std::string left;
  {
    const std::lock_guard lock(mutex);
    std::swap(left, queued);
  }
  lose(static_cast<std::size_t>(std::ranges::count(left, '\n')));
}

// Whole lines where one fits: a write of at most PIPE_BUF is atomic, so other writers of the pipe never split a line.
std::size_t LineWriter::State::next_chunk(std::string_view rest) const {
  if (rest.size() <= chunk) return rest.size();
  const auto end = rest.rfind('\n', chunk - 1);
  return end == std::string_view::npos ? chunk : end + 1;
}

// False: gave up.
bool LineWriter::State::deliver(std::string_view batch, std::size_t lines) {
  std::size_t at = 0;
  while (at < batch.size()) {
    if (!wait_writable()) break;
    const ssize_t count = ::write(stream.get(), batch.data() + at, next_chunk(batch.substr(at)));
    if (count > 0) {
      tell_fault(0);
      at += static_cast<std::size_t>(count);
      continue;
    }
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    tell_fault(count < 0 ? errno : EIO);
    // Gone in the middle of a line: end it, so that a later reader of the same FIFO takes nothing more for its rest.
    if (errno == EPIPE && at > 0 && batch[at - 1] != '\n' && batch[at] != '\n') {
      at = batch.find('\n', at);
      lose(1);
      continue;
    }
    if (pause(kRetry)) break;
  }
  const auto left = static_cast<std::size_t>(std::ranges::count(batch.substr(at), '\n'));
  if (left > 0) lose(left);
  const std::lock_guard lock(mutex);
  queued_lines -= lines;
  return left == 0;
}

void LineWriter::State::run() {
  block_signals();
  std::string batch;
  std::size_t lines = 0;
  while (take(batch, lines)) {
    if (shown) batch = each_shown(batch, shown);
    if (!deliver(batch, lines)) break;
  }
  lose_queued();
  const std::lock_guard lock(mutex);
  done = true;
  finished.notify_all();
}

LineWriter::LineWriter(base::Fd stream, Counter* dropped, std::atomic<int>* fault, Shown shown)
    : state_(std::make_shared<State>(std::move(stream), dropped, fault, std::move(shown))) {
  state_->thread = std::thread([state = state_] { state->run(); });
}

LineWriter::~LineWriter() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->give_up = Clock::now() + kFinalFlush;
  state_->wake.notify_all();
  const bool done = state_->finished.wait_for(lock, 2 * kFinalFlush, [this] { return state_->done; });
  lock.unlock();
  // Another writer on the same pipe can make write(2) block after poll(2): then the thread is left with its own state.
  if (done) {
    state_->thread.join();
  } else {
    state_->thread.detach();
  }
}

void LineWriter::write(std::string_view line) {
  bool wake = false;
  {
    const std::lock_guard lock(state_->mutex);
    const bool full = state_->queued_lines >= kMaxQueuedLines || state_->queued.size() + line.size() > kMaxQueuedBytes;
    if (full) {
      ++state_->dropped;
      if (state_->counter != nullptr) state_->counter->fetch_add(1, std::memory_order_relaxed);
    } else {
      state_->queued += line;
      ++state_->queued_lines;
    }
    wake = std::exchange(state_->asleep, false);
  }
  if (wake) state_->wake.notify_one();
}

void LineWriter::suppress(std::string_view client) {
  const std::lock_guard lock(state_->mutex);
  auto& suppressed = state_->suppressed;
  if (state_->counter != nullptr) state_->counter->fetch_add(1, std::memory_order_relaxed);
  if (const auto mine = suppressed.find(client); mine != suppressed.end()) return void(++mine->second);
  const bool first = suppressed.empty();
  ++suppressed[suppressed.size() < kMaxReported ? std::string(client) : std::string()];
  if (first && std::exchange(state_->asleep, false)) state_->wake.notify_one();
}

}  // namespace soleroute::gateway::audit
