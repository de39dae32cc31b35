// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/importers/yaml_input.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "policy/source_text.h"

namespace soleroute::gateway::importers {

using policy::YamlNode;

base::Result<YamlNode> parse_input(const Input& input) {
  std::string clean;
  SR_TRY(policy::clean_text(input.name, input.text, clean));
  return policy::parse_yaml(policy::SourceText(input.name, clean));
}

const YamlNode* value_of(const YamlNode& node, std::string_view key) {
  for (std::size_t i = 0; node.is_mapping() && i + 1 < node.children.size(); i += 2) {
    if (node.children[i].text == key) return &node.children[i + 1];
  }
  return nullptr;
}

std::string_view text_of(const YamlNode& node, std::string_view key) {
  const YamlNode* value = value_of(node, key);
  return value != nullptr && value->is_scalar() ? std::string_view(value->text) : std::string_view{};
}

std::vector<std::string_view> texts_of(const YamlNode* node) {
  std::vector<std::string_view> out;
  if (node == nullptr) return out;
  if (node->is_scalar()) out.emplace_back(node->text);
  if (!node->is_sequence()) return out;
  for (const auto& item : node->children) {
    if (item.is_scalar()) out.emplace_back(item.text);
  }
  return out;
}

std::string flow_text(const YamlNode& node) {
  std::vector<std::string> parts;
  if (node.is_null()) return "~";
  if (node.is_scalar()) {
    const bool plain = !node.quoted && node.text.find_first_not_of(
                                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789._-/") == std::string::npos;
    return plain && !node.text.starts_with('-') && !node.text.empty() ? node.text : policy::yaml_quoted(node.text);
  }
  if (node.is_sequence()) {
    for (const auto& item : node.children) parts.push_back(flow_text(item));
    return fmt::format("[{}]", fmt::join(parts, ", "));
  }
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    parts.push_back(fmt::format("{}: {}", flow_text(node.children[i]), flow_text(node.children[i + 1])));
  }
  return fmt::format("{{{}}}", fmt::join(parts, ", "));
}

}  // namespace soleroute::gateway::importers
