// A project's .env file as Compose reads it, and what `init` may do with it.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace soleroute::gateway::project {

// The value of `name` in an .env file, the last one if there are several; nullopt if it is not set there.
[[nodiscard]] std::optional<std::string> env_value(std::string_view text, std::string_view name);

// What is in a folder that has a project's .env to be written.
struct FolderState {
  std::optional<std::string> env;          // the text of .env; absent: no such file
  std::vector<std::string> compose_files;  // the project's own, as Compose finds them by itself: "docker-compose.yml"
};

enum class EnvAction {
  kWrite,   // a new .env that names the stack
  kAppend,  // the lines are added to the .env that exists
  kUpdate,  // the two lines of an earlier init get new values
  kKeep,    // the .env that exists is left as it is
  kComment  // a new .env that says nothing: `docker compose` alone goes on to mean the project's own files
};

struct EnvPlan {
  EnvAction action = EnvAction::kWrite;
  bool short_command = true;       // `docker compose` without -f is this stack
  bool append_possible = true;     // --append would do it
  std::vector<std::string> notes;  // for the user
};

struct EnvWish {
  bool append = false;   // lines may be added to an .env
  bool replace = false;  // lines of an earlier init may change
};

// `lines` are those of a new .env: COMPOSE_FILE and COMPOSE_PROJECT_NAME of the stack.
[[nodiscard]] EnvPlan plan_env(const FolderState& state, std::string_view lines, const EnvWish& wish);

// `text` with the values that `lines` have for COMPOSE_FILE and COMPOSE_PROJECT_NAME; all else as it is.
[[nodiscard]] std::string updated_env(std::string_view text, std::string_view lines);

}  // namespace soleroute::gateway::project
