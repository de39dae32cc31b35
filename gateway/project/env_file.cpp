// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/env_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text.h"

namespace soleroute::gateway::project {
namespace {

constexpr std::string_view kSpaces = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

std::string_view unquoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
  return quoted ? text.substr(1, text.size() - 2) : text;
}

}  // namespace

std::optional<std::string> env_value(std::string_view text, std::string_view name) {
  constexpr std::string_view kExport = "export ";
  std::optional<std::string> value;
  for (const auto each : base::lines_of(text)) {
    std::string_view line = trimmed(each);
    if (line.starts_with(kExport)) line = trimmed(line.substr(kExport.size()));
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || trimmed(line.substr(0, equals)) != name) continue;
    value = std::string(unquoted(trimmed(line.substr(equals + 1))));
  }
  return value;
}

EnvPlan plan_env(const FolderState& state, std::string_view lines, const EnvWish& wish) {
  EnvPlan plan;
  const std::string text = state.env.value_or("");
  const auto name = env_value(text, "COMPOSE_PROJECT_NAME");
  const auto files = env_value(text, "COMPOSE_FILE");
  const auto own_name = env_value(lines, "COMPOSE_PROJECT_NAME");
  const auto own_files = env_value(lines, "COMPOSE_FILE");
  const bool complete = name && files && name == own_name && files == own_files;
  if (wish.replace && name && files && files->starts_with(".devcontainer/compose.yaml") && !complete) {
    plan.action = EnvAction::kUpdate;
    return plan;
  }
  if (name && name != own_name) {
    plan.notes.push_back(fmt::format(
        ".env sets COMPOSE_PROJECT_NAME={0}. IDEs take that name, `docker compose -f` takes {1}: two stacks. Remove "
        "the line from .env, or set it to {1}",
        base::shown(*name), own_name.value_or("")));
  }
  if (files && files != own_files) {
    plan.notes.push_back(
        fmt::format(".env sets COMPOSE_FILE={}: `docker compose` without -f still uses that", base::shown(*files)));
  }
  if (!state.compose_files.empty() && !complete) {
    plan.notes.push_back(fmt::format("{} is this project's own: `docker compose` without -f still uses it",
                                     fmt::join(state.compose_files, ", ")));
  }
  plan.append_possible = state.env && !name && !files && state.compose_files.empty();
  if (state.env) {
    plan.action = wish.append && plan.append_possible ? EnvAction::kAppend : EnvAction::kKeep;
  } else if (!state.compose_files.empty()) {
    plan.action = EnvAction::kComment;
  }
  plan.short_command = complete || plan.action == EnvAction::kWrite || plan.action == EnvAction::kAppend;
  return plan;
}

std::string updated_env(std::string_view text, std::string_view lines) {
  std::string out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size() - 1) + 1;
    std::string line(text.substr(0, end));
    text.remove_prefix(end);
    for (const char* name : {"COMPOSE_FILE", "COMPOSE_PROJECT_NAME"}) {
      const auto value = env_value(line, name) ? env_value(lines, name) : std::nullopt;
      if (value) line = fmt::format("{}={}\n", name, *value);
    }
    out += line;
  }
  return out;
}

}  // namespace soleroute::gateway::project
