// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/standard_error.h"
#include "gateway/commands/command.h"
#include "gateway/commands/control_question.h"
#include "gateway/commands/watch_screen.h"
#include "gateway/commands/watch_source.h"
#include "gateway/host/policy_files.h"
#include "gateway/watch/event.h"
#include "gateway/watch/terminal.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::chrono::milliseconds kForever{-1};
constexpr std::chrono::milliseconds kLatestComeWithin{500};  // a gateway sends those that it remembers at once

struct WatchOptions {
  std::string file;  // empty: a log in a pipe, or a running gateway
  bool denied = false;
  bool no_follow = false;
  bool plain = false;
  std::string control = serve::kDefaultControlSocket;
  std::vector<std::string> policy_files;
  std::string format = "text";
};

// A pipe or a file; /dev/null is what commands without a keyboard get.
bool is_log_piped_in() {
  struct stat input{};
  return ::fstat(STDIN_FILENO, &input) == 0 &&
         (S_ISFIFO(input.st_mode) || S_ISREG(input.st_mode) || S_ISSOCK(input.st_mode));
}

// The environment says where a gateway would be; the command line says that it is meant.
bool is_control_named(const WatchOptions& options) {
  const char* variable = std::getenv("GATEWAY_CONTROL");
  return options.control != (variable == nullptr ? std::string_view(serve::kDefaultControlSocket) : variable);
}

base::Result<WatchSource> source_of(const WatchOptions& options) {
  if (!options.file.empty()) return WatchSource::log(options.file, !options.no_follow);
  if (is_log_piped_in() && !is_control_named(options)) return WatchSource::log("-", false);
  auto gateway = WatchSource::gateway(options.control);
  if (!gateway && gateway.error().kind == base::ErrorKind::kSystem) {
    gateway.error().message += "\nto read a log: gateway watch FILE, or docker logs -f GATEWAY | gateway watch";
  }
  return gateway;
}

int watch_lines(const WatchOptions& options, WatchSource& source) {
  const bool colour = use_colour(STDOUT_FILENO);
  std::size_t lines = 0;
  std::size_t records = 0;
  std::string text;
  const auto most = options.no_follow ? kLatestComeWithin : kForever;
  while (source.next(text, most) == WatchSource::Taken::kLine) {
    ++lines;
    const auto event = watch::parse_event(text);
    if (event) ++records;
    if (!event || (options.denied && !watch::is_notable(*event))) continue;
    fmt::print("{}\n", options.format == "json" ? text : watch::event_text(*event, colour));
    if (std::fflush(stdout) != 0) return report(base::errno_error("cannot write").error());
  }
  if (source.is_gateway() && source.why_ended().empty()) return kExitDone;
  if (source.is_gateway()) {
    base::to_standard_error(fmt::format("gateway: {}\n", source.why_ended()));
    return kExitDone;
  }
  const auto is_log = check_is_log(options.file.empty() ? "-" : options.file, lines, records);
  return is_log ? kExitDone : report(is_log.error());
}

int start_watch(const WatchOptions& options) {
  auto policy = host::load_policy(options.policy_files);
  if (!policy && std::getenv("GATEWAY_POLICY") == nullptr) return report(policy.error());
  if (!policy) {
    // The gateway's own files, in its container: to watch it must not depend on them.
    warn(policy.error().message);
    policy = policy::Policy::compile({});
  }
  auto source = source_of(options);
  if (!source) return report(source.error());
  const bool screen = !options.plain && !options.no_follow && options.format == "text";
  if (screen) {
    const auto terminal = watch::Terminal::open(use_colour(STDOUT_FILENO));
    if (terminal) {
      return watch_on_screen(std::move(*source), **terminal, {.denied = options.denied, .policy = std::move(*policy)});
    }
  }
  return watch_lines(options, *source);
}

}  // namespace

void add_watch(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<WatchOptions>();
  CLI::App& command = add_command(
      program, invocation, "watch", "show decisions as they are made, and allow what was denied with a key",
      "gateway watch\n"
      "  docker compose exec proxy gateway watch\n"
      "  docker logs -f gateway | gateway watch --denied\n"
      "  gateway watch /var/log/gateway.json\n\n"
      "Without FILE and without a log in a pipe it watches the running gateway: the one on the default control socket, "
      "or the only 'gateway run' of this user. On a terminal, keys filter, pause, show details, and allow what was "
      "denied; elsewhere it prints lines.",
      [options] { return start_watch(*options); });
  command
      .add_option("file", options->file, "decision log to follow (default: the running gateway; - is standard input)")
      ->type_name("FILE");
  command.add_flag("--denied", options->denied, "show only denials, also those that observe mode let pass, and errors");
  command.add_flag("--plain", options->plain, "print lines also on a terminal");
  command.add_flag("--no-follow", options->no_follow,
                   "stop at the end of the file, or after the latest decisions of the gateway");
  add_control_option(command, options->control, "control socket of the gateway");
  add_policy_option(command, options->policy_files);
  command.get_option("--policy")->description("policy that the suggested lines add to (repeatable)");
  add_format_option(command, options->format);
}

}  // namespace soleroute::gateway::commands
