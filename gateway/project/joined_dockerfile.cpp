// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/joined_dockerfile.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <set>
#include <vector>

namespace soleroute::gateway::project {
namespace {

using DockerLines = std::vector<std::string>;

bool begins_stage(const std::string& line) {
  return line.starts_with("FROM ");
}

// "debian" of "FROM debian AS debian", with nothing for a stage without a name.
std::string stage_name(const std::string& line) {
  const auto at = line.find(" AS ");
  return at == std::string::npos ? std::string{} : line.substr(at + 4);
}

struct SplitRecipe {
  DockerLines arguments;  // before the first stage
  DockerLines stages;
};

base::Result<SplitRecipe> split_recipe(const Recipe& recipe) {
  SplitRecipe split;
  std::ptrdiff_t last = -1;
  for (const auto part : std::views::split(recipe.text, '\n')) {
    std::string line(part.begin(), part.end());
    if (begins_stage(line)) last = std::ssize(split.stages);
    if (last >= 0) {
      split.stages.push_back(std::move(line));
    } else if (line.starts_with("ARG ")) {
      split.arguments.push_back(std::move(line));
    }
  }
  if (last < 0 || !stage_name(split.stages[static_cast<std::size_t>(last)]).empty()) {
    return base::usage_error(fmt::format("{}: the last stage must be there and have no name", recipe.file));
  }
  while (split.stages.back().empty()) split.stages.pop_back();
  split.stages[static_cast<std::size_t>(last)] += fmt::format(" AS {}", recipe.stage);
  return split;
}

std::string argument_name(std::string_view line) {
  constexpr std::size_t kWord = 4;  // "ARG "
  return std::string(line.substr(kWord, line.find('=') - kWord));
}

}  // namespace

base::Result<std::string> joined_dockerfile(std::span<const Recipe> recipes) {
  std::string arguments;
  std::string stages;
  std::set<std::string> known_arguments;
  std::set<std::string> known_stages;
  for (const Recipe& recipe : recipes) {
    if (recipe.argument.empty()) continue;
    known_arguments.emplace(recipe.argument);
    arguments += fmt::format("ARG {}={}\n", recipe.argument, recipe.stage);
  }
  for (const Recipe& recipe : recipes) {
    SR_LET(split, split_recipe(recipe));
    for (const std::string& line : split->arguments) {
      if (known_arguments.insert(argument_name(line)).second) arguments += line + "\n";
    }
    stages += fmt::format("\n# {}\n", recipe.file);
    for (const std::string& line : split->stages) {
      const std::string name = begins_stage(line) ? stage_name(line) : std::string{};
      if (!name.empty() && !known_stages.insert(name).second) {
        return base::usage_error(fmt::format("{}: another recipe has a stage '{}' too", recipe.file, name));
      }
      stages += line + "\n";
    }
  }
  return arguments + stages;
}

}  // namespace soleroute::gateway::project
