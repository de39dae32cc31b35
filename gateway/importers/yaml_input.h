// YAML of other tools as a tree, and small questions about it.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/importers/formats.h"
#include "policy/yaml_document.h"

namespace soleroute::gateway::importers {

[[nodiscard]] base::Result<policy::YamlNode> parse_input(const Input& input);
// The value of a key; null: it is not a mapping with that key.
[[nodiscard]] const policy::YamlNode* value_of(const policy::YamlNode& node, std::string_view key);
// The text of a key's value; empty: there is none.
[[nodiscard]] std::string_view text_of(const policy::YamlNode& node, std::string_view key);
// The texts of a list, or the one text.
[[nodiscard]] std::vector<std::string_view> texts_of(const policy::YamlNode* node);
// The node in flow style: one line.
[[nodiscard]] std::string flow_text(const policy::YamlNode& node);

}  // namespace soleroute::gateway::importers
