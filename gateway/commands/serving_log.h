// The log of a serving command on standard output: lines for people on a terminal, JSON elsewhere.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>

#include "gateway/audit/decision_log.h"

namespace CLI {
class App;
}

namespace soleroute::gateway::commands {

inline constexpr const char* kDefaultLogFormat = "auto";

// --log-format auto|text|json, GATEWAY_LOG_FORMAT.
void add_log_format_option(CLI::App& command, std::string& format);

// `format` is "auto", "text" or "json". Ignores SIGPIPE: a reader that is gone is an error of that write.
[[nodiscard]] std::unique_ptr<audit::DecisionLog> make_serving_log(const std::string& format,
                                                                   audit::Verbosity verbosity,
                                                                   audit::Counters& counters);

}  // namespace soleroute::gateway::commands
