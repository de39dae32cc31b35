// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>

#include "gateway/audit/log_line.h"
#include "gateway/audit/log_text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/line_source.h"

namespace soleroute::gateway::commands {
namespace {

struct WatchOptions {
  std::string file = "-";
  bool denied = false;
  bool no_follow = false;
};

int watch(const WatchOptions& options) {
  if (options.file == "-" && ::isatty(STDIN_FILENO) == 1) {
    return report({.message = "missing FILE (or pipe a log: docker logs -f GATEWAY | gateway watch)",
                   .kind = base::ErrorKind::kUsage});
  }
  auto source = LineSource::open(options.file, !options.no_follow);
  if (!source) return report(source.error());
  const bool colour = use_colour(STDOUT_FILENO);
  std::size_t lines = 0;
  std::size_t records = 0;
  while (const auto text = source->next()) {
    ++lines;
    const auto line = audit::parse_log_line(*text);
    if (line) ++records;
    if (!line || (options.denied && !audit::is_denial(*line))) continue;
    fmt::print("{}\n", audit::log_text(*line, colour));
    if (std::fflush(stdout) != 0) return report(base::errno_error("cannot write").error());
  }
  const auto is_log = check_is_log(options.file, lines, records);
  return is_log ? kExitDone : report(is_log.error());
}

}  // namespace

void add_watch(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<WatchOptions>();
  CLI::App& command =
      add_command(program, invocation, "watch", "show decisions of a log as readable lines, as they are made",
                  "docker logs -f gateway | gateway watch --denied\n"
                  "  gateway watch /var/log/gateway.json",
                  [options] { return watch(*options); });
  command.add_option("file", options->file, "decision log to follow (default: standard input, also -)")
      ->type_name("FILE");
  command.add_flag("--denied", options->denied, "show only denials, also those that observe mode let pass, and errors");
  command.add_flag("--no-follow", options->no_follow, "stop at the end of the file");
}

}  // namespace soleroute::gateway::commands
