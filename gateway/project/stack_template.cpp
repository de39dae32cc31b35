// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/stack_template.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <ranges>

#include "gateway/project/embedded_file.h"

namespace soleroute::gateway::project {
namespace {

// A line of the template that stands for several: "#@state".
constexpr std::string_view kMarker = "#@";
// A value of the template: "${SOLEROUTE_NET:?run 'gateway init'}". Compose refuses a copy in which one is left.
constexpr std::string_view kValue = "${SOLEROUTE_";
constexpr std::string_view kDockerRun = "/run/soleroute:mode=0700,uid=65532,gid=65532";
constexpr std::string_view kPodmanRun = "/run:mode=1777";  // Podman knows no owner of a tmpfs

using Values = std::map<std::string_view, std::string>;
using Lines = std::map<std::string_view, std::vector<std::string>>;

struct StateVolume {
  std::string name;
  std::string folder;
};

// ".config/opencode" is kept in the volume "state-config.opencode": the same one whatever else an agent keeps.
std::string volume_name(std::string_view folder) {
  std::string name(folder.substr(folder.starts_with('.') ? 1 : 0));
  std::ranges::replace(name, '/', '.');
  return "state-" + name;
}

base::Result<std::vector<StateVolume>> state_volumes(const std::vector<Agent>& agents) {
  std::vector<StateVolume> volumes;
  std::map<std::string, std::string_view> owners;
  for (const Agent& agent : agents) {
    for (const std::string& folder : agent.state) {
      const std::string name = volume_name(folder);
      const auto [owner, added] = owners.emplace(name, agent.name);
      if (!added) {
        return base::usage_error(fmt::format("agents '{}' and '{}' both keep their state in ~/{}; choose one of them",
                                             owner->second, agent.name, folder));
      }
      volumes.push_back({name, folder});
    }
  }
  return volumes;
}

// A double-quoted JSON text is one of YAML too; Compose takes `$$` for `$`.
std::string compose_text(const std::string& text) {
  std::string doubled;
  for (const char c : text) doubled.append(c == '$' ? 2 : 1, c);
  return nlohmann::json(doubled).dump();
}

base::Result<std::vector<std::string>> environment_lines(const std::vector<Agent>& agents) {
  std::map<std::string, std::pair<std::string, std::string_view>> seen;
  std::vector<std::string> lines;
  for (const Agent& agent : agents) {
    for (const auto& [name, value] : agent.environment) {
      const auto [earlier, added] = seen.emplace(name, std::pair{value, std::string_view(agent.name)});
      if (!added && earlier->second.first != value) {
        return base::usage_error(fmt::format("agents '{}' and '{}' need different values of {}; choose one of them",
                                             earlier->second.second, agent.name, name));
      }
      if (added) lines.push_back(fmt::format("{}: {}", name, compose_text(value)));
    }
  }
  if (!lines.empty()) {
    for (std::string& line : lines) line.insert(0, "  ");
    lines.insert(lines.begin(), "environment:");
  }
  return lines;
}

template <class List>
std::vector<std::string> united(const std::vector<Agent>& agents, List Agent::* member) {
  std::vector<std::string> all;
  for (const Agent& agent : agents) {
    for (const auto& item : agent.*member) {
      if (std::ranges::find(all, item) == all.end()) all.push_back(item);
    }
  }
  return all;
}

// The services that run the gateway's image without building it: "agent-net: {pull_policy: never}".
std::vector<std::string> prebuilt_services() {
  std::vector<std::string> lines;
  for (const EmbeddedFile& file : template_files()) {
    if (file.path != ".devcontainer/compose.yaml") continue;
    std::string service;
    for (const auto part : std::views::split(file.text, '\n')) {
      const std::string line(part.begin(), part.end());
      constexpr std::size_t kIndent = 2;
      const bool key = line.size() > kIndent && line.starts_with("  ") && line[kIndent] != ' ' && line.ends_with(':');
      if (key) service = line.substr(kIndent, line.size() - kIndent - 1);
      const bool gateway = line.contains("image:") && line.contains("${SOLEROUTE_GATEWAY_IMAGE");
      if (gateway && service != "proxy") lines.push_back(service + ": {pull_policy: never}");
    }
  }
  return lines;
}

base::Result<Lines> lines_of(const Stack& stack) {
  Lines lines;
  SR_LET(volumes, state_volumes(stack.agents));
  SR_LET(environment, environment_lines(stack.agents));
  lines["environment"] = std::move(*environment);
  lines["state"];
  lines["volumes"];
  for (const StateVolume& volume : *volumes) {
    lines["state"].push_back(fmt::format("- {}:/home/dev/{}", volume.name, volume.folder));
    lines["volumes"].push_back(fmt::format("{}: {{}}", volume.name));
  }
  lines["services"];
  for (const std::string& service : united(stack.agents, &Agent::services)) {
    lines["services"].push_back("- " + service);
  }
  lines["prebuilt"] = prebuilt_services();
  lines["user"];
  lines["own"];
  if (stack.build && stack.build->user) lines["user"].push_back(fmt::format("DEV_UID: \"{}\"", *stack.build->user));
  if (stack.build && stack.build->own_agents) lines["own"].emplace_back("additional_contexts: {own: ./agents}");
  lines["project"] = {fmt::format("COMPOSE_PROJECT_NAME={}", stack.project)};
  return lines;
}

// Each marker line becomes the lines that it stands for, indented as it is.
std::string with_lines(std::string_view text, const Lines& lines) {
  std::string out;
  for (const auto part : std::views::split(text, '\n')) {
    const std::string_view line(part.begin(), part.end());
    const auto indent = std::min(line.find_first_not_of(' '), line.size());
    const std::string_view word = line.substr(indent);
    const auto found = word.starts_with(kMarker) ? lines.find(word.substr(kMarker.size())) : lines.end();
    if (found == lines.end()) {
      out += fmt::format("{}\n", line);
      continue;
    }
    for (const std::string& replacement : found->second) out += fmt::format("{:{}}{}\n", "", indent, replacement);
  }
  if (!out.empty()) out.pop_back();  // what follows the last line end is no line
  return out;
}

std::string with_values(std::string_view text, const Values& values) {
  std::string out;
  while (true) {
    const auto begin = text.find(kValue);
    const auto end = begin == std::string_view::npos ? begin : text.find('}', begin);
    if (end == std::string_view::npos) return out.append(text);
    const std::string_view inside = text.substr(begin + kValue.size(), end - begin - kValue.size());
    const auto value = values.find(inside.substr(0, inside.find(':')));
    out += text.substr(0, begin);
    out += value == values.end() ? text.substr(begin, end + 1 - begin) : std::string_view(value->second);
    text.remove_prefix(end + 1);
  }
}

std::string devcontainer(std::string_view text, const Stack& stack) {
  auto json = nlohmann::ordered_json::parse(text);
  const auto titles = std::views::transform(stack.agents, &Agent::title);
  json["name"] = fmt::format("{} behind Soleroute", fmt::join(titles, ", "));
  if (const auto files = compose_files(stack); files.size() > 1) json["dockerComposeFile"] = files;
  json["customizations"]["vscode"]["extensions"] = united(stack.agents, &Agent::extensions);
  return json.dump(2) + "\n";
}

std::string environment_file(std::string_view text, const Stack& stack, const Lines& lines) {
  constexpr std::string_view kFiles = "COMPOSE_FILE=.devcontainer/compose.yaml";
  std::string out = with_lines(text, lines);
  std::string files = "COMPOSE_FILE=";
  for (const std::string& file : compose_files(stack)) {
    files += fmt::format("{}.devcontainer/{}", files.ends_with('=') ? "" : ":", file);
  }
  if (const auto at = out.find(kFiles); at != std::string::npos) out.replace(at, kFiles.size(), files);
  return out;
}

std::optional<std::string> one_file(const EmbeddedFile& file, const Stack& stack, const Values& values,
                                    const Lines& lines) {
  if (file.path == ".env") return environment_file(file.text, stack, lines);
  if (file.path == ".devcontainer/devcontainer.json") return devcontainer(file.text, stack);
  if (file.path == ".devcontainer/podman.yaml" && stack.engine != Engine::kPodman) return std::nullopt;
  if (file.path == ".devcontainer/build.yaml" && !stack.build) return std::nullopt;
  return with_values(with_lines(file.text, lines), values);
}

}  // namespace

std::vector<std::string> compose_files(const Stack& stack) {
  std::vector<std::string> files{"compose.yaml"};
  if (stack.engine == Engine::kPodman) files.emplace_back("podman.yaml");
  if (stack.build) files.emplace_back("build.yaml");
  return files;
}

std::string image_name(const std::vector<Agent>& agents, std::string_view version) {
  return fmt::format("soleroute/{}:{}", fmt::join(std::views::transform(agents, &Agent::name), "-"), version);
}

base::Result<std::vector<ProjectFile>> project_files(const Stack& stack) {
  SR_LET(lines, lines_of(stack));
  const Values values{{"GATEWAY_IMAGE", stack.gateway_image},
                      {"AGENT_IMAGE", stack.agent_image},
                      {"CLONE", compose_text(stack.build ? stack.build->clone : "")},
                      {"DOCKERFILE", compose_text(stack.build ? stack.build->dockerfile_path : "")},
                      {"AGENTS", fmt::format("{}", fmt::join(std::views::transform(stack.agents, &Agent::name), " "))},
                      {"NET", stack.network},
                      {"RUN", std::string(stack.engine == Engine::kPodman ? kPodmanRun : kDockerRun)}};
  std::vector<ProjectFile> files;
  for (const EmbeddedFile& file : template_files()) {
    if (auto text = one_file(file, stack, values, *lines)) {
      files.push_back({std::string(file.path), std::move(*text)});
    }
  }
  if (stack.build) files.push_back({std::string(kDockerfile), stack.build->dockerfile});
  return files;
}

std::string env_lines(const Stack& stack) {
  for (const EmbeddedFile& file : template_files()) {
    const auto lines = lines_of(stack);
    if (file.path == ".env" && lines) return environment_file(file.text, stack, *lines);
  }
  return {};
}

}  // namespace soleroute::gateway::project
