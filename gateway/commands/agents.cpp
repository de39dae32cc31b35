// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/project/agent_catalog.h"

namespace soleroute::gateway::commands {
namespace {

struct AgentsOptions {
  std::string name;
  std::string file;
  std::string format = "text";
};

base::Result<std::vector<project::Agent>> wanted(const AgentsOptions& options) {
  std::vector<project::Agent> agents;
  const auto add = [&](base::Result<project::Agent> agent) -> base::Status {
    if (!agent) return std::unexpected(agent.error());
    agents.push_back(std::move(*agent));
    return {};
  };
  base::Status added;
  if (!options.file.empty()) {
    added = add(project::agent_from_file(options.file));
  } else if (!options.name.empty()) {
    added = add(project::built_in_agent(options.name));
  } else {
    for (const auto name : project::agent_names()) {
      if (added = add(project::built_in_agent(name)); !added) break;
    }
  }
  if (!added) return std::unexpected(added.error());
  return agents;
}

void print_text(const project::Agent& agent) {
  fmt::print("{}: {}\n", agent.name, agent.title);
  fmt::print("  package     {} {}\n", agent.package.npm, agent.package.version);
  fmt::print("  start with  {}\n", agent.command);
  if (!agent.services.empty()) fmt::print("  services    {}\n", fmt::join(agent.services, ", "));
  if (!agent.state.empty()) fmt::print("  state       ~/{}\n", fmt::join(agent.state, ", ~/"));
  if (!agent.notes.empty()) fmt::print("  {}\n", base::shown(agent.notes));
}

// One object where one agent was asked for, a list otherwise.
void print_json(const std::vector<project::Agent>& agents, bool one) {
  if (one) {
    fmt::print("{}\n", project::agent_json(agents.front()));
    return;
  }
  fmt::print("[");
  for (const auto& agent : agents) {
    fmt::print("{}{}", &agent == &agents.front() ? "\n" : ",\n", project::agent_json(agent));
  }
  fmt::print("\n]\n");
}

int agents(const AgentsOptions& options) {
  const auto found = wanted(options);
  if (!found) return report(found.error());
  if (options.format == "json") {
    print_json(*found, !options.name.empty() || !options.file.empty());
  } else {
    for (const auto& agent : *found) print_text(agent);
  }
  return kExitDone;
}

}  // namespace

void add_agents(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<AgentsOptions>();
  CLI::App& command = add_command(program, invocation, "agents", "list the agents that 'gateway init' can set up",
                                  "gateway agents claude --json", [options] { return agents(*options); });
  auto* name = command.add_option("name", options->name, "agent to show (default: all)")->type_name("NAME");
  command.add_option("--file", options->file, "check and show this agent file instead")
      ->type_name("FILE")
      ->excludes(name);
  add_format_option(command, options->format);
}

}  // namespace soleroute::gateway::commands
