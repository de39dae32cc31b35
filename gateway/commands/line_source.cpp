// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/line_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "gateway/audit/log_line.h"

namespace soleroute::gateway::commands {
base::Result<LineSource> LineSource::open(const std::string& path, bool follow) {
  const bool standard_input = path == "-";
  base::Fd fd(standard_input ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) {
    const int reason = errno;
    auto failed = base::usage_error(
        fmt::format("cannot open {}: {}", base::shown(path), std::generic_category().message(reason)));
    failed.error().sys_errno = reason;
    return failed;
  }
  return LineSource(std::move(fd), path, follow && !standard_input);
}

bool LineSource::fill() {
  std::array<char, 16384> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): read into
  for (;;) {
    const ssize_t count = ::read(fd_.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    buffer_.append(chunk.data(), static_cast<std::size_t>(count));
    return true;
  }
}

std::optional<std::string> LineSource::take(std::size_t end) {
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  if (std::exchange(cutting_, false)) return std::nullopt;
  return line;
}

// A file that is shorter than what was read, or another file under the name, is begun from its start.
void LineSource::reopen_if_replaced() {
  struct stat ours{};
  struct stat named{};
  if (::fstat(fd_.get(), &ours) != 0 || ::stat(path_.c_str(), &named) != 0 || !S_ISREG(ours.st_mode)) return;
  if (ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) {
    if (::lseek(fd_.get(), 0, SEEK_CUR) > ours.st_size) ::lseek(fd_.get(), 0, SEEK_SET);
    return;
  }
  base::Fd fresh(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (fresh) fd_ = std::move(fresh);
}

std::optional<std::string> LineSource::line_in_hand() {
  for (auto end = buffer_.find('\n'); end != std::string::npos; end = buffer_.find('\n')) {
    if (auto line = take(end)) return line;
  }
  if (buffer_.size() > audit::kMaxLogLine) {
    cutting_ = true;
    buffer_.clear();
  }
  return std::nullopt;
}

// At the end of the file.
std::optional<std::string> LineSource::rest() {
  if (buffer_.empty() || cutting_) return std::nullopt;
  return take(buffer_.size());
}

std::optional<std::string> LineSource::next() {
  for (;;) {
    if (auto line = line_in_hand()) return line;
    if (fill()) continue;
    if (!follow_) return rest();
    ::poll(nullptr, 0, kLookAgainMs);
    reopen_if_replaced();
  }
}

LineSource::Taken LineSource::next_now(std::string& line) {
  for (;;) {
    if (auto in_hand = line_in_hand()) {
      line = std::move(*in_hand);
      return Taken::kLine;
    }
    pollfd ready{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 0) == 0) return Taken::kNothingYet;
    if (fill()) continue;
    if (follow_) {
      reopen_if_replaced();
      return Taken::kNothingYet;
    }
    auto last = rest();
    if (!last) return Taken::kEnd;
    line = std::move(*last);
    return Taken::kLine;
  }
}

base::Status check_is_log(const std::string& path, std::size_t lines, std::size_t records) {
  if (records > 0 || lines == 0) return {};
  const std::string name = path == "-" ? "standard input" : base::shown(path);
  return base::usage_error(fmt::format("{} is not a decision log: none of its {} lines is a record", name, lines));
}

}  // namespace soleroute::gateway::commands
