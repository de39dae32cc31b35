// GitHub Agentic Workflows: `network:` in the front matter of a workflow's Markdown.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "gateway/importers/formats.h"
#include "gateway/importers/text_scan.h"
#include "gateway/importers/yaml_input.h"
#include "policy/service_catalog.h"

namespace soleroute::gateway::importers {
namespace {

using policy::YamlNode;

// Ecosystem identifiers, and the services here that have the same registries.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kEcosystems{{{"python", "pypi"},
                                                                                     {"python-native", "pypi"},
                                                                                     {"node", "npm"},
                                                                                     {"go", "go"},
                                                                                     {"rust", "crates"},
                                                                                     {"ruby", "rubygems"},
                                                                                     {"java", "maven"},
                                                                                     {"containers", "docker-hub"},
                                                                                     {"github", "github"},
                                                                                     {"linux-distros", "debian"},
                                                                                     {"linux-distros", "ubuntu"},
                                                                                     {"python-native", "crates"}}};

std::string front_matter(std::string_view text) {
  constexpr std::string_view kFence = "---\n";
  if (!text.starts_with(kFence)) return std::string(text);
  text.remove_prefix(kFence.size());
  return std::string(
      text.substr(0, text.find("\n---") == std::string_view::npos ? text.size() : text.find("\n---") + 1));
}

void allow(std::string_view entry, Draft& draft) {
  bool known = false;
  for (const auto& [ecosystem, service] : kEcosystems) {
    if (ecosystem != entry) continue;
    draft.service(service, entry);
    known = true;
  }
  if (known) return;
  if (entry.contains('.') || entry.contains('*')) {
    return draft.target(Verdict::kAllow, entry, Reach::kNameAndBelow, Reach::kBelow);
  }
  if (entry == "defaults") {
    return draft.omit(entry, "certificates, schemas and mirrors; 'gateway suggest' lists those that are asked for");
  }
  draft.service(entry, entry);
}

void block(std::string_view entry, Draft& draft) {
  if (entry.contains('.')) return draft.target(Verdict::kDeny, entry, Reach::kNameAndBelow, Reach::kNameAndBelow);
  draft.omit(fmt::format("blocked: {}", entry), "an ecosystem; write its hosts under deny", Verdict::kDeny);
}

}  // namespace

base::Status read_gh_aw(const Input& input, Draft& draft) {
  std::string text = input.text;
  std::erase(text, '\r');
  SR_LET(root, parse_input({input.name, front_matter(text)}));
  const YamlNode* network = value_of(*root, "network");
  if (network == nullptr) return base::usage_error(fmt::format("{}: no 'network:'", base::shown(input.name)));
  draft.mean("There, a bare name covers the names below it too: it is \"*.\" and the name here.");
  if (network->is_scalar()) allow(network->text, draft);
  for (const auto entry : texts_of(value_of(*network, "allowed"))) allow(entry, draft);
  for (const auto entry : texts_of(value_of(*network, "blocked"))) block(entry, draft);
  return {};
}

}  // namespace soleroute::gateway::importers
