// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/job_summary.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "base/standard_error.h"
#include "base/text.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::string_view kMarkup = "\\`*_{}[]<>()#+-.!|~&:@$\"'/=";

void warn(const std::string& path, std::string_view what, int error) {
  base::to_standard_error(fmt::format("gateway: warning: cannot {} the job summary {}: {}\n", what, base::shown(path),
                                      std::generic_category().message(error)));
}

// Whole lines that fit, and a last line that says what was cut.
std::string bounded(std::string_view markdown) {
  std::string out;
  for (const auto line : base::lines_of(markdown)) {
    const std::string clean = base::shown(line);
    if (out.size() + clean.size() + 1 > kMaxJobSummary) return out + "\n… (the rest was cut)\n";
    out += clean + "\n";
  }
  return out;
}

}  // namespace

JobSummary JobSummary::from_environment() {
  JobSummary summary;
  const char* path = std::getenv("GITHUB_STEP_SUMMARY");
  if (path == nullptr || *path == '\0') return summary;
  summary.path_ = path;
  // O_NONBLOCK: a FIFO without a reader is an error, not a wait.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  constexpr mode_t kMode = 0644;
  base::Fd file(::open(path, kFlags, kMode));  // NOLINT(cppcoreguidelines-pro-type-vararg): open(2) is variadic
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0) {
    warn(summary.path_, "open", errno);
  } else if (!S_ISREG(status.st_mode)) {
    warn(summary.path_, "write to", EINVAL);
  } else {
    summary.file_ = std::move(file);
  }
  return summary;
}

void JobSummary::append(std::string_view markdown) const {
  if (file_ && !base::write_all(file_.get(), bounded(markdown))) warn(path_, "write", errno);
}

void append_job_summary(std::string_view markdown) {
  JobSummary::from_environment().append(markdown);
}

std::string markdown_text(std::string_view text) {
  std::string out;
  for (const char c : base::shown(text)) {
    if (kMarkup.contains(c)) {
      out += fmt::format("&#{};", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string markdown_code(std::string_view text) {
  return fmt::format("<code>{}</code>", markdown_text(text));
}

std::string markdown_block(std::string_view text, std::string_view language) {
  std::size_t longest = 2;
  std::size_t run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(longest + 1, '`');
  return fmt::format("{}{}\n{}{}\n", fence, language, base::indented(text, ""), fence);
}

}  // namespace soleroute::gateway::commands
