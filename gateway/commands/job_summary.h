// The summary of a CI job: Markdown for the file that GITHUB_STEP_SUMMARY names, which GitHub shows beside the job.
// Opened before a jailed command runs, so that the command cannot lead the gateway to another file. Single-threaded.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace soleroute::gateway::commands {

// GitHub refuses a step's summary of more than 1 MiB. One append of ours takes less; the rest is cut at a line's end.
inline constexpr std::size_t kMaxJobSummary = std::size_t{256} << 10;

class JobSummary {
 public:
  // The file that GITHUB_STEP_SUMMARY names, or nothing if it is unset or empty. A file that cannot be opened is a
  // warning on standard error.
  [[nodiscard]] static JobSummary from_environment();

  [[nodiscard]] bool wanted() const { return static_cast<bool>(file_); }
  // Appends `markdown`; control characters are shown as text. An error is a warning on standard error.
  void append(std::string_view markdown) const;

 private:
  base::Fd file_;
  std::string path_;
};

// from_environment() and append() in one, for commands that run no other program.
void append_job_summary(std::string_view markdown);

// Text of others in Markdown, on one line: no markup, no HTML, no table cell ends in it.
[[nodiscard]] std::string markdown_text(std::string_view text);
// The same in code type.
[[nodiscard]] std::string markdown_code(std::string_view text);
// Lines of text as a fenced block that nothing in them can end. `language` may be empty.
[[nodiscard]] std::string markdown_block(std::string_view text, std::string_view language);

}  // namespace soleroute::gateway::commands
