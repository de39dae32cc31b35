// StepSecurity's harden-runner: `allowed-endpoints` of a workflow, or its lines alone: "example.com:443".
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include "gateway/importers/formats.h"
#include "gateway/importers/text_scan.h"
#include "gateway/importers/yaml_input.h"

namespace soleroute::gateway::importers {
namespace {

using policy::YamlNode;

void add_all(std::string_view endpoints, Draft& draft) {
  for (const auto endpoint : split(endpoints, " \t\r\n,")) {
    if (endpoint.contains("${{")) {
      draft.omit(endpoint, "an expression of the workflow");
      continue;
    }
    draft.target(Verdict::kAllow, endpoint, Reach::kName, Reach::kBelow);
  }
}

// Every `allowed-endpoints` in the document.
void find_all(const YamlNode& node, Draft& draft, bool& found) {
  if (const YamlNode* endpoints = value_of(node, "allowed-endpoints"); endpoints != nullptr) {
    found = true;
    for (const auto text : texts_of(endpoints)) add_all(text, draft);
    if (text_of(node, "egress-policy") == "audit") {
      draft.omit("egress-policy: audit", "blocks nothing there; add 'mode: observe' for that");
    }
  }
  for (const auto& child : node.children) find_all(child, draft, found);
}

}  // namespace

base::Status read_harden_runner(const Input& input, Draft& draft) {
  draft.mean("A bare name covers this name alone, here and there; port 443 is https, port 80 is http.");
  bool found = false;
  if (const auto root = parse_input(input); root) find_all(*root, draft, found);
  if (!found) add_all(input.text, draft);
  return {};
}

}  // namespace soleroute::gateway::importers
