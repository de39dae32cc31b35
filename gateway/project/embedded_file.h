// The files that are compiled into the program for `gateway init`, `gateway agents` and `gateway schema`.
// Immutable.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string_view>

namespace soleroute::gateway::project {

struct EmbeddedFile {
  std::string_view path;  // below its folder: ".devcontainer/compose.yaml"
  std::string_view text;
};

// Sorted by path.
[[nodiscard]] std::span<const EmbeddedFile> agent_files();     // docker/agents/*.yaml
[[nodiscard]] std::span<const EmbeddedFile> template_files();  // compose/template
// The JSON Schemas without the lists that `gateway schema` adds.
[[nodiscard]] std::span<const EmbeddedFile> schema_files();  // policy/*.schema.json

}  // namespace soleroute::gateway::project
