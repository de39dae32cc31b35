// Where `gateway run` keeps its control socket: a folder of its user, and in it one socket for each run.
// Free functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace soleroute::gateway::serve {

// In the order in which they are tried: $XDG_RUNTIME_DIR, /run/user/UID, /run (root), /tmp.
[[nodiscard]] std::vector<std::string> run_control_folders(uid_t user, std::string_view xdg_runtime_dir);

// Those of them that are there: folders of this user, and no links.
[[nodiscard]] std::vector<std::string> existing_run_control_folders(uid_t user, std::string_view xdg_runtime_dir);

// "/run/user/1000/soleroute/run-4711.sock"
[[nodiscard]] std::string run_control_socket(const std::string& folder, pid_t pid);

// Makes the first of these that can be had, with mode 0700. Nothing: none can. The calling process is `user`, or has
// its rights. A folder that is a link, or another user's, is passed over: what is in it would be reachable elsewhere.
[[nodiscard]] std::optional<std::string> make_run_control_folder(uid_t user, std::string_view xdg_runtime_dir);

// The sockets in these folders on which a gateway answers now.
[[nodiscard]] std::vector<std::string> answering_run_sockets(uid_t user, std::string_view xdg_runtime_dir);

}  // namespace soleroute::gateway::serve
