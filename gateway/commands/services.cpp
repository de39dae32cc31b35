// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "policy/service_catalog.h"

namespace soleroute::gateway::commands {
namespace {

struct ServicesOptions {
  std::vector<std::string> names;
  std::string since;
  std::string format = "text";
};

void print_text(const policy::ServiceView& service) {
  fmt::print("{}: {}\n", service.name, service.description);
  for (const auto& domain : service.domains) fmt::print("  {}\n", domain);
  for (const auto& rule : service.rules) fmt::print("    {}\n", rule);
  for (const auto& rule : service.readonly_rules) fmt::print("  with readonly: true also {}\n", rule);
  for (const auto& group : service.optional) {
    fmt::print("  optional: [{}] adds ({}; works without)\n", group.name, group.description);
    for (const auto& domain : group.domains) fmt::print("    {}\n", domain);
    for (const auto& rule : group.rules) fmt::print("      {}\n", rule);
  }
  fmt::print("  source, as of {}: {}\n", service.date, service.source);
}

nlohmann::ordered_json as_json(const policy::ServiceView& service) {
  auto optional = nlohmann::ordered_json::array();
  for (const auto& group : service.optional) {
    optional.push_back(
        {{"name", group.name}, {"description", group.description}, {"domains", group.domains}, {"rules", group.rules}});
  }
  return {{"name", service.name},
          {"description", service.description},
          {"source", service.source},
          {"date", service.date},
          {"domains", service.domains},
          {"rules", service.rules},
          {"readonly_rules", service.readonly_rules},
          {"optional", std::move(optional)}};
}

int services(const ServicesOptions& options) {
  const auto catalog = policy::list_services();
  if (!catalog) return report(catalog.error());
  for (const auto& name : options.names) {
    if (policy::find_service(name) != nullptr) continue;
    return report({fmt::format("unknown service '{}'{}", base::shown(name), policy::service_hint(name)),
                   base::ErrorKind::kUsage});
  }
  if (!options.since.empty() && !policy::is_date(options.since)) {
    return report({fmt::format("--since: '{}' is not a date like 2026-12-01", base::shown(options.since)),
                   base::ErrorKind::kUsage});
  }
  const bool in_json = options.format == "json";
  std::size_t shown = 0;
  auto list = nlohmann::ordered_json::array();
  for (const auto& service : *catalog) {
    const bool wanted = options.names.empty() || std::ranges::find(options.names, service.name) != options.names.end();
    if (!wanted || service.date < options.since) continue;
    ++shown;
    if (in_json) {
      list.push_back(as_json(service));
    } else {
      print_text(service);
    }
  }
  if (in_json) fmt::print("{}\n", list.dump(2));
  if (!in_json && shown == 0) fmt::print("no service is new or changed since {}\n", options.since);
  return kExitDone;
}

}  // namespace

void add_services(CLI::App& program, Invocation& invocation) {
  auto options = std::make_shared<ServicesOptions>();
  CLI::App& command =
      add_command(program, invocation, "services", "list the services that a policy can name, with their hosts",
                  "gateway services github", [options] { return services(*options); });
  command.add_option("name", options->names, "services to show (default: all)")->type_name("NAME");
  command.add_option("--since", options->since, "only services that are new or changed since this day (2026-12-01)")
      ->type_name("DATE");
  add_format_option(command, options->format);
}

}  // namespace soleroute::gateway::commands
