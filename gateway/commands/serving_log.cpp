// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/serving_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <utility>

#include "base/fd.h"
#include "gateway/commands/colour.h"

namespace soleroute::gateway::commands {

void add_log_format_option(CLI::App& command, std::string& format) {
  command.add_option("--log-format", format, "format of the log (auto: text on a terminal, else JSON)")
      ->capture_default_str()
      ->envname("GATEWAY_LOG_FORMAT")
      ->type_name("auto|text|json")
      ->check(CLI::IsMember({"auto", "text", "json"}).description(""));
}

std::unique_ptr<audit::DecisionLog> make_serving_log(const std::string& format, audit::Verbosity verbosity,
                                                     audit::Counters& counters) {
  ::signal(SIGPIPE, SIG_IGN);
  base::Fd standard_output(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  const bool text = format == "text" || (format == "auto" && ::isatty(STDOUT_FILENO) == 1);
  if (!text) return audit::make_json_log(std::move(standard_output), verbosity, &counters);
  return audit::make_text_log(std::move(standard_output), verbosity, use_colour(STDOUT_FILENO), &counters);
}

}  // namespace soleroute::gateway::commands
