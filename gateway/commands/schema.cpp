// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gateway/commands/command.h"
#include "gateway/project/embedded_file.h"
#include "policy/expectations.h"
#include "policy/service_catalog.h"

namespace soleroute::gateway::commands {
namespace {

using Json = nlohmann::ordered_json;

// {"if": name is one of `names`, "then": {"optional": `optional`}}
Json of_services(const Json& names, Json optional) {
  return {{"if", {{"properties", {{"name", names}}}}}, {"then", {{"properties", {{"optional", std::move(optional)}}}}}};
}

// The lists of services and of their optional groups come from the catalog that this program has.
base::Status add_services_of_catalog(Json& definitions) {
  SR_LET(catalog, policy::list_services());
  Json names = Json::array();
  Json without_groups = Json::array();
  Json conditions = Json::array();
  std::vector<std::string> all_groups;
  for (const auto& service : *catalog) {
    names.push_back(service.name);
    Json groups = Json::array();
    for (const auto& group : service.optional) {
      groups.push_back(group.name);
      if (std::ranges::find(all_groups, group.name) == all_groups.end()) all_groups.push_back(group.name);
    }
    if (groups.empty()) {
      without_groups.push_back(service.name);
    } else {
      const Json listed = {{"items", {{"enum", std::move(groups)}}}};
      conditions.push_back(of_services({{"const", service.name}}, listed));
    }
  }
  conditions.push_back(of_services({{"enum", std::move(without_groups)}}, false));
  std::ranges::sort(all_groups);
  definitions["service_name"]["enum"] = std::move(names);
  definitions["optional_group"]["enum"] = all_groups;
  definitions["groups_of_service"]["allOf"] = std::move(conditions);
  return {};
}

int schema(const std::string& name) {
  const auto files = project::schema_files();
  const auto file = std::ranges::find(files, name + ".schema.json", &project::EmbeddedFile::path);
  Json document = Json::parse(file->text);
  Json& definitions = document["$defs"];
  if (name == "policy") {
    if (const auto added = add_services_of_catalog(definitions); !added) return report(added.error());
  } else {
    definitions["reason"]["enum"] = policy::reason_names();
  }
  fmt::print("{}\n", document.dump(2));
  return kExitDone;
}

}  // namespace

void add_schema(CLI::App& program, Invocation& invocation) {
  const auto name = std::make_shared<std::string>();
  CLI::App& command = add_command(program, invocation, "schema", "print the JSON Schema of policies, tests or the log",
                                  "gateway schema policy > policy.schema.json", [name] { return schema(*name); });
  command
      .add_option("name", *name,
                  "what the schema is of: policy files, tables of 'gateway test', or lines of the decision log")
      ->type_name("NAME")
      ->required()
      ->check(CLI::IsMember({"policy", "test", "log"}).description(""));
}

}  // namespace soleroute::gateway::commands
