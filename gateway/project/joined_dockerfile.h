// The recipes of several images, each built on the one before, as one Dockerfile of many stages: Compose builds images
// in no order that holds for all of its versions, and a builder always knows the order of stages. Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace soleroute::gateway::project {

struct Recipe {
  std::string_view file;      // "docker/base/Dockerfile", for errors
  std::string_view text;      // its last stage has no name
  std::string_view stage;     // becomes the name of that stage
  std::string_view argument;  // by which the recipes after it name its image: "AGENT_BASE_IMAGE"
};

// Arguments before a recipe's first stage count for all stages: the first default of a name wins. Two stages of one
// name, or a recipe without a last stage to name, are kUsage errors.
[[nodiscard]] base::Result<std::string> joined_dockerfile(std::span<const Recipe> recipes);

}  // namespace soleroute::gateway::project
