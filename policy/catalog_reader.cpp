// SPDX-License-Identifier: GPL-3.0-or-later
#include <array>
#include <string>
#include <utility>

#include "policy/domain_reader.h"
#include "policy/policy_document.h"
#include "policy/service_catalog.h"
#include "policy/yaml_document.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {
namespace {

using base::Result;
using base::Status;

// Reads a file of the service catalog.
class CatalogReader {
 public:
  explicit CatalogReader(const SourceText& source) : yaml_(source), domains_(source) {}

  [[nodiscard]] Result<ServiceDocument> service(const YamlNode& root) const;

 private:
  [[nodiscard]] Status optional_group(const YamlNode& node, OptionalGroup& group) const;
  [[nodiscard]] Status groups_of_service(const YamlNode& node, std::vector<OptionalGroup>& out) const;

  YamlReader yaml_;
  DomainReader domains_;
};

Status CatalogReader::optional_group(const YamlNode& node, OptionalGroup& group) const {
  const auto description = [&](const YamlNode& value) -> Status {
    SR_LET(text, yaml_.text(value, "a description"));
    group.description = *text;
    return {};
  };
  const std::array<YamlReader::Key, 2> known{{
      {"description", description},
      {"domains", [&](const YamlNode& value) { return domains_.domains(value, group.domains, true); }},
  }};
  SR_TRY(yaml_.keys(node, "an optional group", known));
  if (group.description.empty() || group.domains.empty()) {
    return yaml_.error(node, "an optional group needs 'description' and 'domains'");
  }
  return {};
}

// By name, so that any name can be given.
Status CatalogReader::groups_of_service(const YamlNode& node, std::vector<OptionalGroup>& out) const {
  if (!node.is_mapping()) return yaml_.wrong_type(node, "optional", "a mapping of groups");
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    OptionalGroup group{.name = node.children[i].text, .description = {}, .domains = {}};
    SR_TRY(optional_group(node.children[i + 1], group));
    out.push_back(std::move(group));
  }
  return {};
}

Result<ServiceDocument> CatalogReader::service(const YamlNode& root) const {
  ServiceDocument document;
  const auto text_into = [&](std::string& out) {
    return [&](const YamlNode& value) -> Status {
      SR_LET(text, yaml_.text(value, "name, description, source and date"));
      out = *text;
      return {};
    };
  };
  const std::array<YamlReader::Key, 7> known{{
      {"name", text_into(document.name)},
      {"source", text_into(document.source)},
      {"date", text_into(document.date)},
      {"description", text_into(document.description)},
      {"domains", [&](const YamlNode& value) { return domains_.domains(value, document.domains, true); }},
      {"readonly", [&](const YamlNode& value) { return domains_.domains(value, document.readonly, true); }},
      {"optional", [&](const YamlNode& value) { return groups_of_service(value, document.optional); }},
  }};
  SR_TRY(yaml_.keys(root, "a service", known));
  if (document.name.empty() || document.description.empty() || document.domains.empty()) {
    return yaml_.error(root, "a service needs 'name', 'description' and 'domains'");
  }
  if (document.source.empty() || !is_date(document.date)) {
    return yaml_.error(root, "a service needs 'source', and 'date' as \"2026-12-01\"");
  }
  return document;
}

}  // namespace

Result<ServiceDocument> read_service(const SourceText& source) {
  SR_LET(root, parse_yaml(source));
  return CatalogReader(source).service(*root);
}

}  // namespace soleroute::policy
