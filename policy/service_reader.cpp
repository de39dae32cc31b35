// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/service_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "policy/service_catalog.h"
#include "policy/source_text.h"
#include "policy/yaml_diagnosis.h"

namespace soleroute::policy {

using base::Status;

Status ServiceReader::name(const YamlNode& node, ServiceEntry& entry) const {
  SR_LET(text, yaml_.text(node, "a service"));
  std::string name = lowered(*text);
  if (find_service(name) == nullptr) {
    const std::string suggestion = service_hint(name);
    return yaml_.error(node, fmt::format("unknown service '{}'{}", base::shown(name.substr(0, 80)),
                                         suggestion.empty() ? "; 'gateway services' lists them" : suggestion));
  }
  entry.name = std::move(name);
  return {};
}

Status ServiceReader::entry(const YamlNode& node, std::vector<ServiceEntry>& out) const {
  ServiceEntry entry{.name = {}, .position = node.position};
  if (node.is_scalar()) {
    SR_TRY(name(node, entry));
    out.push_back(std::move(entry));
    return {};
  }
  if (!node.is_mapping()) return yaml_.wrong_type(node, "an item of services", "a name or a mapping with 'name'");
  const auto readonly = [&](const YamlNode& value) -> Status {
    SR_LET(flag, yaml_.boolean(value, "readonly"));
    entry.readonly = *flag;
    return {};
  };
  GithubScope scope;
  const std::array<YamlReader::Key, 8> known{{
      {"name", [&](const YamlNode& value) { return name(value, entry); }},
      {"addresses", [&](const YamlNode& value) { return values_.addresses(value, entry.addresses); }},
      {"readonly", readonly},
      {"optional", [](const YamlNode&) { return Status{}; }},  // once the service is known
      {"merge_mode", [&](const YamlNode& value) { return values_.merge_mode(value, entry.replace); }},
      {"repos", [&](const YamlNode& value) { return github_.repositories(value, scope.repositories); }},
      {"git", [&](const YamlNode& value) { return github_.access(value, "git", "git-askpass", scope.git); }},
      {"api", [&](const YamlNode& value) { return github_.access(value, "api", "env", scope.api); }},
  }};
  SR_TRY(yaml_.keys(node, "an item of services", known));
  if (entry.name.empty()) return yaml_.error(node, "an item of services needs 'name'");
  if (const YamlNode* groups = ValueReader::key(node, "optional"); groups != nullptr) {
    SR_TRY(optional_groups(*groups, entry));
  }
  if (!scope.repositories.empty() || scope.git || scope.api) entry.scope = std::move(scope);
  SR_TRY(scope_is_whole(node, entry));
  out.push_back(std::move(entry));
  return {};
}

Status ServiceReader::optional_groups(const YamlNode& node, ServiceEntry& entry) const {
  const ServiceFile& file = *find_service(entry.name);
  SR_LET(service, read_service(SourceText(file.name, file.text)));
  std::vector<std::string_view> names;
  for (const auto& group : service->optional) names.push_back(group.name);
  if (names.empty()) return yaml_.error(node, fmt::format("{} has no optional groups", entry.name));
  return yaml_.each(node, "optional", true, [&](const YamlNode& item) -> Status {
    SR_LET(name, yaml_.text(item, "an optional group"));
    if (std::ranges::find(names, *name) == names.end()) {
      const std::string suggestion = did_you_mean(*name, names);
      return yaml_.error(
          item, fmt::format("{} has no optional group '{}'{}", entry.name, base::shown(name->substr(0, 80)),
                            suggestion.empty() ? fmt::format("; it has {}", fmt::join(names, ", ")) : suggestion));
    }
    if (std::ranges::find(entry.optional, *name) == entry.optional.end()) entry.optional.emplace_back(*name);
    return {};
  });
}

Status ServiceReader::scope_is_whole(const YamlNode& node, const ServiceEntry& entry) const {
  if (!entry.scope) return {};
  const auto at = [&](std::initializer_list<std::string_view> keys) -> const YamlNode& {
    for (const auto key : keys) {
      if (const auto* found = ValueReader::key(node, key)) return *found;
    }
    return node;
  };
  if (entry.name != "github") {
    return yaml_.error(at({"repos", "git", "api"}),
                       fmt::format("'repos', 'git' and 'api' are keys of the github service, "
                                   "not of {}",
                                   entry.name));
  }
  if (entry.scope->repositories.empty()) {
    return yaml_.error(at({"git", "api"}), "'git' and 'api' need 'repos': a list of repositories");
  }
  if (!entry.scope->git && !entry.scope->api) {
    return yaml_.error(at({"repos"}), "'repos' needs 'git', 'api' or both");
  }
  if (ValueReader::key(node, "readonly") != nullptr) {
    return yaml_.error(at({"readonly"}),
                       "'readonly' is for the whole of GitHub; with 'repos' write 'access: read' under "
                       "'git' and 'api'");
  }
  return {};
}

Status ServiceReader::services(const YamlNode& node, std::vector<ServiceEntry>& out) const {
  return yaml_.each(node, "services", true, [&](const YamlNode& item) { return entry(item, out); });
}

}  // namespace soleroute::policy
