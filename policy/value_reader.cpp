// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/value_reader.h"

#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "policy/source_text.h"
#include "policy/yaml_diagnosis.h"

namespace soleroute::policy {

using base::Status;

const YamlNode* ValueReader::key(const YamlNode& mapping, std::string_view name) {
  for (std::size_t i = 0; i + 1 < mapping.children.size(); i += 2) {
    if (mapping.children[i].text == name) return &mapping.children[i + 1];
  }
  return nullptr;
}

Status ValueReader::host(const YamlNode& node, std::optional<HostPattern>& out, Wildcards accepted) const {
  SR_LET(text, yaml_.text(node, "a host"));
  auto pattern = parse_host_pattern(*text, accepted);
  if (!pattern) {
    return yaml_.error(node, fmt::format("'{}' {}{}", base::shown(text->substr(0, 80)), pattern.error().message,
                                         node.quoted ? "" : spelling_hint(*text)));
  }
  out = std::move(*pattern);
  return {};
}

Status ValueReader::merge_mode(const YamlNode& node, bool& replace) const {
  SR_LET(chosen, yaml_.choice(node, "merge_mode", {"replace"}));
  replace = true;
  return {};
}

Status ValueReader::flag(const YamlNode& node, std::string_view what, bool& out) const {
  SR_LET(set, yaml_.boolean(node, what));
  out = *set;
  return {};
}

Status ValueReader::cidr(const YamlNode& node, std::string_view what, base::Cidr& out) const {
  if (!node.is_scalar()) return yaml_.wrong_type(node, what, "an address or a range");
  const auto parsed = base::Cidr::parse(node.text);
  if (!parsed) return yaml_.error(node, fmt::format("{}: {}", what, base::shown(parsed.error().message)));
  out = *parsed;
  return {};
}

Status ValueReader::addresses(const YamlNode& node, std::vector<base::Cidr>& out) const {
  return yaml_.each(node, "addresses", false, [&](const YamlNode& item) -> Status {
    base::Cidr range;
    SR_TRY(cidr(item, "addresses", range));
    out.push_back(range);
    return {};
  });
}

}  // namespace soleroute::policy
