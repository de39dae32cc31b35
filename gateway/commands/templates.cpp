// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/templates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace soleroute::gateway::commands {
namespace {

constexpr std::size_t kMaxName = 40;

bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

// FNV-1a: stable across builds and machines, which std::hash is not.
std::uint32_t stable_hash(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

}  // namespace

std::vector<std::string> template_agents() {
  std::vector<std::string> agents;
  for (const TemplateFile& file : template_files()) {
    if (agents.empty() || agents.back() != file.agent) agents.emplace_back(file.agent);
  }
  return agents;
}

std::string project_name(std::string_view folder, std::string_view agent) {
  std::string name;
  for (const char given : folder) {
    const char c = given >= 'A' && given <= 'Z' ? static_cast<char>(given - 'A' + 'a') : given;
    const bool plain = is_letter(c) || (c >= '0' && c <= '9');
    if (plain) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
    if (name.size() == kMaxName) break;
  }
  while (name.ends_with('-')) name.pop_back();
  if (name.empty()) name = agent;
  if (!is_letter(name.front())) name.insert(0, "p-");
  return name;
}

std::string project_network(std::string_view absolute_folder) {
  // 10.128.0.0 to 10.254.255.0: beside most home and company networks, and not what engines hand out themselves.
  constexpr std::uint32_t kFirst = 128;
  constexpr std::uint32_t kSecondBytes = 127;
  const std::uint32_t hash = stable_hash(absolute_folder);
  return fmt::format("10.{}.{}", kFirst + (hash >> 8U) % kSecondBytes, hash & 0xFFU);
}

std::string filled_in(std::string_view env, std::string_view name, std::string_view network) {
  std::string out;
  while (!env.empty()) {
    const std::size_t end = std::min(env.find('\n'), env.size() - 1) + 1;
    const std::string_view line = env.substr(0, end);
    env.remove_prefix(end);
    if (line.starts_with("COMPOSE_PROJECT_NAME=")) {
      out += fmt::format("COMPOSE_PROJECT_NAME={}\n", name);
    } else if (line.starts_with("SOLEROUTE_NET=")) {
      out += fmt::format("SOLEROUTE_NET={}\n", network);
    } else {
      out += line;
    }
  }
  return out;
}

}  // namespace soleroute::gateway::commands
