// The project templates of compose/templates, compiled into the program, and how one becomes a project's own.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace soleroute::gateway::commands {

struct TemplateFile {
  std::string_view agent;  // "claude"
  std::string_view path;   // ".devcontainer/compose.yaml"
  std::string_view text;
};

[[nodiscard]] std::span<const TemplateFile> template_files();
[[nodiscard]] std::vector<std::string> template_agents();

// What Compose takes for a project's name: lower case, digits, hyphens, beginning with a letter; never empty.
[[nodiscard]] std::string project_name(std::string_view folder, std::string_view agent);
// "10.B.C" of a /24, the same for the same folder: so that projects beside each other seldom collide.
[[nodiscard]] std::string project_network(std::string_view absolute_folder);
// The template's .env with COMPOSE_PROJECT_NAME and SOLEROUTE_NET of this project.
[[nodiscard]] std::string filled_in(std::string_view env, std::string_view name, std::string_view network);

}  // namespace soleroute::gateway::commands
