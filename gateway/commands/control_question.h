// One question to a running gateway over its control socket.
// Blocks; used on one thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace CLI {
class App;
}

namespace soleroute::gateway::commands {

// Behind what went wrong with the socket.
inline constexpr const char* kNoGatewayHere =
    "\nno gateway is running here, or it uses another socket (--control) or another user (try sudo)";

// The line that the gateway at `path`, or the one that choose_control_socket() finds, answers, with its newline:
// gateway/serve/control_socket.h says what stands in it.
[[nodiscard]] base::Result<std::string> ask_gateway(const std::string& path, std::string_view question,
                                                    std::chrono::milliseconds limit);
// The same for a whole question: a JSON object on one line, without its line end.
[[nodiscard]] base::Result<std::string> ask_gateway_object(const std::string& path, std::string_view object,
                                                           std::chrono::milliseconds limit);

// --control SOCKET, GATEWAY_CONTROL.
void add_control_option(CLI::App& command, std::string& path, const std::string& help);

}  // namespace soleroute::gateway::commands
