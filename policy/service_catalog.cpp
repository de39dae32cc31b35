// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/service_catalog.h"

#include <algorithm>
#include <cctype>

#include "policy/policy_document.h"
#include "policy/source_text.h"

namespace soleroute::policy {
namespace {

std::vector<std::string> rules_of(const std::vector<DomainEntry>& domains) {
  std::vector<std::string> out;
  for (const auto& entry : domains) {
    for (const auto& rule : entry.rules) out.push_back(entry.host.text() + ": " + describe(rule.terms));
  }
  return out;
}

// In any case.
bool has_word(std::string_view text, std::string_view word) {
  const std::string in = lowered(text);
  const std::string wanted = lowered(word);
  if (wanted.size() < 2) return false;
  const auto is_letter = [&](std::size_t at) {
    return at < in.size() && (std::isalnum(static_cast<unsigned char>(in[at])) != 0);
  };
  for (auto at = in.find(wanted); at != std::string::npos; at = in.find(wanted, at + 1)) {
    if ((at == 0 || !is_letter(at - 1)) && !is_letter(at + wanted.size())) return true;
  }
  return false;
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

bool is_date(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-dd";
  if (text.size() != kForm.size()) return false;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == 'd' ? !digit : text[i] != kForm[i]) return false;
  }
  const auto number = [&](std::size_t at) { return (text[at] - '0') * 10 + text[at + 1] - '0'; };
  const int month = number(5);
  const int day = number(8);
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

std::string service_hint(std::string_view name) {
  const auto catalog = list_services();
  std::vector<std::string_view> described;
  for (const auto& service : catalog ? *catalog : std::vector<ServiceView>{}) {
    if (has_word(service.description, name)) described.push_back(find_service(service.name)->name);
  }
  return did_you_mean(described.size() == 1 ? described.front() : name, service_names());
}

base::Result<std::vector<ServiceView>> list_services() {
  std::vector<ServiceView> views;
  for (const auto& file : service_files()) {
    const std::string source_name = "services/" + std::string(file.name) + ".yaml";
    SR_LET(document, read_service(SourceText(source_name, file.text)));
    ServiceView view;
    view.name = document->name;
    view.description = document->description;
    view.source = document->source;
    view.date = document->date;
    view.rules = rules_of(document->domains);
    view.readonly_rules = rules_of(document->readonly);
    for (const auto& entry : document->domains) {
      view.domains.push_back(entry.host.text());
      if (!entry.rules.empty()) view.limited.push_back(entry.host.text());
    }
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
