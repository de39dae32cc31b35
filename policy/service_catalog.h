// The services that a policy can name: policy/services/*.yaml, compiled into the program.
// Immutable.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace soleroute::policy {

struct ServiceFile {
  std::string_view name;  // "github"
  std::string_view text;  // the YAML
};
// Sorted by name.
[[nodiscard]] std::span<const ServiceFile> service_files();
[[nodiscard]] std::vector<std::string_view> service_names();
[[nodiscard]] const ServiceFile* find_service(std::string_view name);

// After "unknown service 'droid'": ", did you mean 'factory'?", for a likely spelling, or a word that the description
// of one service alone has; else empty.
[[nodiscard]] std::string service_hint(std::string_view name);

// A day as "2026-12-01". Such texts compare as the days do.
[[nodiscard]] bool is_date(std::string_view text);

// Hosts that a service asks for and works without.
struct OptionalGroupView {
  std::string name;
  std::string description;
  std::vector<std::string> domains;  // as written
  std::vector<std::string> rules;    // of those that not everything is admitted to: "github.com: https only, GET"
};

// For people and `gateway services`.
struct ServiceView {
  std::string name;
  std::string description;
  std::string source;                       // where its hosts are from
  std::string date;                         // of the last look at the source
  std::vector<std::string> domains;         // as written
  std::vector<std::string> limited;         // those of `domains` that only `rules` admit something to
  std::vector<std::string> rules;           // "hex.pm: https only, GET or HEAD"
  std::vector<std::string> readonly_rules;  // what readonly admits beside GET, HEAD and OPTIONS
  std::vector<OptionalGroupView> optional;  // in a policy by their names alone
};
[[nodiscard]] base::Result<std::vector<ServiceView>> list_services();

}  // namespace soleroute::policy
