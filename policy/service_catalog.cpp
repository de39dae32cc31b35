// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/service_catalog.h"

#include <algorithm>

#include "policy/policy_document.h"

namespace soleroute::policy {
namespace {

std::vector<std::string> rules_of(const std::vector<DomainEntry>& domains) {
  std::vector<std::string> out;
  for (const auto& entry : domains) {
    for (const auto& rule : entry.rules) out.push_back(entry.host.text() + ": " + describe(rule.terms));
  }
  return out;
}

}  // namespace

std::vector<std::string_view> service_names() {
  std::vector<std::string_view> names;
  for (const auto& file : service_files()) names.push_back(file.name);
  return names;
}

const ServiceFile* find_service(std::string_view name) {
  const auto files = service_files();
  const auto found = std::ranges::find(files, name, &ServiceFile::name);
  return found == files.end() ? nullptr : &*found;
}

base::Result<std::vector<ServiceView>> list_services() {
  std::vector<ServiceView> views;
  for (const auto& file : service_files()) {
    const std::string source_name = "services/" + std::string(file.name) + ".yaml";
    SR_LET(document, read_service(SourceText(source_name, file.text)));
    ServiceView view{document->name, document->description, {}, rules_of(document->readonly), {}};
    for (const auto& entry : document->domains) view.domains.push_back(entry.host.text());
    for (const auto& group : document->optional) {
      OptionalGroupView& shown = view.optional.emplace_back(group.name, group.description);
      for (const auto& entry : group.domains) shown.domains.push_back(entry.host.text());
      shown.rules = rules_of(group.domains);
    }
    views.push_back(std::move(view));
  }
  return views;
}

}  // namespace soleroute::policy
