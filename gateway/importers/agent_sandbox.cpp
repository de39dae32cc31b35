// agent-sandbox: its policy files, each a layer over those before it. They are policies here too; one file is the sum.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include "base/text.h"
#include "gateway/importers/formats.h"
#include "gateway/importers/yaml_input.h"

namespace soleroute::gateway::importers {

base::Status read_agent_sandbox(const Input& input, Draft& draft) {
  SR_LET(root, parse_input(input));
  if (!root->is_null() && !root->is_mapping()) {
    return base::usage_error(fmt::format("{}: not a policy", base::shown(input.name)));
  }
  draft.mean("Names and wildcards mean the same here and there.");
  for (std::size_t i = 0; i + 1 < root->children.size(); i += 2) {
    const auto& key = root->children[i].text;
    const auto& list = root->children[i + 1];
    if ((key != "services" && key != "domains") || !list.is_sequence()) {
      draft.omit(key, list.is_null() ? "empty" : "not a key of agent-sandbox's policies");
      continue;
    }
    for (const auto& item : list.children) {
      const auto text = flow_text(item);
      draft.item(key, text, text);
    }
  }
  draft.omit("the service of the active agent", "agent-sandbox adds it by itself: add it under services, e.g. claude");
  return {};
}

}  // namespace soleroute::gateway::importers
