// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/agent_catalog.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "gateway/host/policy_files.h"
#include "gateway/project/embedded_file.h"
#include "policy/source_text.h"

namespace soleroute::gateway::project {
namespace {

constexpr std::string_view kSuffix = ".yaml";

std::string_view without_suffix(std::string_view path) {
  return path.ends_with(kSuffix) ? path.substr(0, path.size() - kSuffix.size()) : path;
}

}  // namespace

std::vector<std::string_view> agent_names() {
  std::vector<std::string_view> names;
  for (const EmbeddedFile& file : agent_files()) names.push_back(without_suffix(file.path));
  return names;
}

base::Result<Agent> built_in_agent(std::string_view name) {
  for (const EmbeddedFile& file : agent_files()) {
    if (without_suffix(file.path) == name) return read_agent(fmt::format("agents/{}", file.path), name, file.text);
  }
  const auto names = agent_names();
  const std::string suggestion = policy::did_you_mean(name, names);
  return base::usage_error(
      fmt::format("unknown agent '{}'{}", base::shown(name),
                  suggestion.empty() ? fmt::format("; known: {}", fmt::join(names, ", ")) : suggestion));
}

base::Result<Agent> agent_from_file(const std::string& path) {
  const std::string file = std::filesystem::path(path).filename().string();
  if (!file.ends_with(kSuffix) || !is_agent_name(without_suffix(file))) {
    return base::usage_error(
        fmt::format("{}: an agent's file is called NAME.yaml, NAME of a-z, 0-9 and hyphens, beginning with a letter",
                    base::shown(path)));
  }
  SR_LET(text, host::read_small_file(path, kMaxAgentFile));
  return read_agent(path, without_suffix(file), *text);
}

}  // namespace soleroute::gateway::project
