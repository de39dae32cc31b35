// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/project/agent_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/ascii.h"
#include "base/text.h"
#include "policy/service_catalog.h"
#include "policy/yaml_reader.h"

namespace soleroute::gateway::project {
namespace {

using base::shown;
using base::Status;
using policy::YamlNode;

constexpr std::size_t kMaxName = 40;      // a part of image, volume and project names
constexpr std::size_t kMaxTitle = 60;     // a window's title
constexpr std::size_t kMaxNpmName = 214;  // npm's own limit

bool all_of(std::string_view text, std::string_view others, bool (*kind)(char)) {
  return std::ranges::all_of(text, [&](char c) { return kind(c) || others.contains(c); });
}

// These values become shell words, paths and Compose keys: each form admits nothing that has to be quoted.
bool is_npm_part(std::string_view text) {
  return !text.empty() && !text.starts_with('.') && !text.starts_with('-') &&
         all_of(text, "-._~", [](char c) { return base::is_lower(c) || base::is_digit(c); });
}

bool is_npm_name(std::string_view text) {
  if (text.size() > kMaxNpmName) return false;
  if (!text.starts_with('@')) return is_npm_part(text);
  const auto slash = text.find('/');
  return slash != std::string_view::npos && is_npm_part(text.substr(1, slash - 1)) &&
         is_npm_part(text.substr(slash + 1));
}

bool is_exact_version(std::string_view text) {
  return !text.empty() && base::is_digit(text.front()) && std::ranges::count(text, '.') >= 2 &&
         all_of(text, ".+-", base::is_alphanumeric);
}

bool is_program_name(std::string_view text) {
  return !text.empty() && base::is_alphanumeric(text.front()) && all_of(text, "._-", base::is_alphanumeric);
}

bool is_variable_name(std::string_view text) {
  return !text.empty() && !base::is_digit(text.front()) && all_of(text, "_", base::is_alphanumeric);
}

bool is_extension(std::string_view text) {
  const auto dot = text.find('.');
  return dot != std::string_view::npos && dot != 0 && dot + 1 < text.size() &&
         all_of(text.substr(0, dot), "-", base::is_alphanumeric) &&
         all_of(text.substr(dot + 1), "-.", base::is_alphanumeric);
}

// ".config/opencode": relative, plain, and nothing that leads up.
bool is_state_folder(std::string_view text) {
  if (text.empty()) return false;
  while (true) {
    const auto slash = text.find('/');
    const auto part = text.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || !all_of(part, "._-", base::is_alphanumeric)) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

template <class List>
bool listed(const List& list, std::string_view value) {
  return std::ranges::find(list, value) != list.end();
}

struct Form {
  bool (*fits)(std::string_view);
  std::string_view example;
};

class AgentReader {
 public:
  explicit AgentReader(const policy::SourceText& source) : yaml_(source) {}

  base::Result<Agent> agent(const YamlNode& root, std::string_view name) const;

 private:
  Status text_into(const YamlNode& node, std::string_view what, std::string& out) const;
  Status form_into(const YamlNode& node, std::string_view what, const Form& form, std::string& out) const;
  Status list_into(const YamlNode& node, std::string_view what, const Form& form, std::vector<std::string>& out) const;
  Status name_into(const YamlNode& node, std::string_view expected, std::string& out) const;
  Status title_into(const YamlNode& node, std::string& out) const;
  Status package_into(const YamlNode& node, AgentPackage& out) const;
  Status services_into(const YamlNode& node, std::vector<std::string>& out) const;
  Status environment_into(const YamlNode& node, Agent& out) const;
  Status is_whole(const YamlNode& root, const Agent& agent) const;

  policy::YamlReader yaml_;
};

Status AgentReader::text_into(const YamlNode& node, std::string_view what, std::string& out) const {
  SR_LET(text, yaml_.text(node, what));
  if (text->empty()) return yaml_.error(node, fmt::format("{} is empty", what));
  out = *text;
  return {};
}

Status AgentReader::form_into(const YamlNode& node, std::string_view what, const Form& form, std::string& out) const {
  SR_TRY(text_into(node, what, out));
  if (form.fits(out)) return {};
  return yaml_.error(node, fmt::format("{} cannot be '{}'; example: {}", what, shown(out), form.example));
}

Status AgentReader::list_into(const YamlNode& node, std::string_view what, const Form& form,
                              std::vector<std::string>& out) const {
  return yaml_.each(node, what, true, [&](const YamlNode& item) -> Status {
    std::string value;
    SR_TRY(form_into(item, fmt::format("an item of {}", what), form, value));
    if (listed(out, value)) {
      return yaml_.error(item, fmt::format("'{}' is listed twice", shown(value)));
    }
    out.push_back(std::move(value));
    return {};
  });
}

Status AgentReader::name_into(const YamlNode& node, std::string_view expected, std::string& out) const {
  SR_TRY(form_into(node, "name", {is_agent_name, "claude"}, out));
  if (out == expected) return {};
  return yaml_.error(node, fmt::format("name is '{}', but the file is called {}.yaml", out, shown(expected)));
}

Status AgentReader::title_into(const YamlNode& node, std::string& out) const {
  SR_TRY(text_into(node, "title", out));
  if (out.size() <= kMaxTitle && !out.contains('\n')) return {};
  return yaml_.error(node, fmt::format("title must be one line of at most {} bytes", kMaxTitle));
}

Status AgentReader::package_into(const YamlNode& node, AgentPackage& out) const {
  const std::array<policy::YamlReader::Key, 2> known{{
      {"npm",
       [&](const YamlNode& value) {
         return form_into(value, "npm", {is_npm_name, "'@anthropic-ai/claude-code'"}, out.npm);
       }},
      {"version",
       [&](const YamlNode& value) {
         return form_into(value, "version", {is_exact_version, "2.1.332 (one exact version)"}, out.version);
       }},
  }};
  SR_TRY(yaml_.keys(node, "package", known));
  if (out.npm.empty()) return yaml_.error(node, "package needs 'npm', the package's name in the npm registry");
  if (out.version.empty()) return yaml_.error(node, "package needs 'version', one exact version");
  return {};
}

Status AgentReader::services_into(const YamlNode& node, std::vector<std::string>& out) const {
  const auto names = policy::service_names();
  return yaml_.each(node, "services", true, [&](const YamlNode& item) -> Status {
    std::string value;
    SR_TRY(text_into(item, "a service", value));
    if (listed(out, value)) {
      return yaml_.error(item, fmt::format("'{}' is listed twice", shown(value)));
    }
    if (!listed(names, value)) {
      const std::string suggestion = policy::service_hint(value);
      return yaml_.error(item, fmt::format("unknown service '{}'{}", shown(value),
                                           suggestion.empty() ? "; 'gateway services' lists them" : suggestion));
    }
    out.push_back(std::move(value));
    return {};
  });
}

Status AgentReader::environment_into(const YamlNode& node, Agent& out) const {
  if (node.is_null()) return {};
  if (!node.is_mapping()) return yaml_.wrong_type(node, "environment", "a mapping");
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    std::string name;
    std::string value;
    const Form form{is_variable_name, "DISABLE_AUTOUPDATER"};
    SR_TRY(form_into(node.children[i], "a variable's name", form, name));
    SR_LET(text, yaml_.text(node.children[i + 1], name));
    value = *text;
    if (value.contains('\n')) return yaml_.error(node.children[i + 1], fmt::format("{} must be one line", name));
    out.environment.emplace_back(std::move(name), std::move(value));
  }
  return {};
}

Status AgentReader::is_whole(const YamlNode& root, const Agent& agent) const {
  const std::array<std::pair<std::string_view, const std::string*>, 4> needed{
      {{"name", &agent.name}, {"title", &agent.title}, {"package", &agent.package.npm}, {"command", &agent.command}}};
  for (const auto& [key, value] : needed) {
    if (value->empty()) return yaml_.error(root, fmt::format("an agent needs '{}'", key));
  }
  return {};
}

base::Result<Agent> AgentReader::agent(const YamlNode& root, std::string_view name) const {
  Agent out;
  const std::array<policy::YamlReader::Key, 9> known{{
      {"name", [&](const YamlNode& value) { return name_into(value, name, out.name); }},
      {"title", [&](const YamlNode& value) { return title_into(value, out.title); }},
      {"package", [&](const YamlNode& value) { return package_into(value, out.package); }},
      {"command",
       [&](const YamlNode& value) {
         return form_into(value, "command", {is_program_name, "claude (a program's name)"}, out.command);
       }},
      {"services", [&](const YamlNode& value) { return services_into(value, out.services); }},
      {"state",
       [&](const YamlNode& value) {
         return list_into(value, "state", {is_state_folder, ".config/opencode (below /home/dev)"}, out.state);
       }},
      {"environment", [&](const YamlNode& value) { return environment_into(value, out); }},
      {"extensions",
       [&](const YamlNode& value) {
         return list_into(value, "extensions", {is_extension, "anthropic.claude-code"}, out.extensions);
       }},
      {"notes", [&](const YamlNode& value) { return text_into(value, "notes", out.notes); }},
  }};
  SR_TRY(yaml_.keys(root, "an agent's file", known));
  SR_TRY(is_whole(root, out));
  return out;
}

}  // namespace

bool is_agent_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && base::is_lower(text.front()) && !text.ends_with('-') &&
         all_of(text, "-", [](char c) { return base::is_lower(c) || base::is_digit(c); });
}

base::Result<Agent> read_agent(std::string_view file, std::string_view name, std::string_view text) {
  std::string clean;
  SR_TRY(policy::clean_text(file, text, clean));
  const policy::SourceText source(file, clean);
  SR_LET(root, policy::parse_yaml(source));
  return AgentReader(source).agent(*root, name);
}

std::string agent_json(const Agent& agent) {
  nlohmann::ordered_json environment = nlohmann::ordered_json::object();
  for (const auto& [name, value] : agent.environment) environment[name] = value;
  return nlohmann::ordered_json{{"name", agent.name},
                                {"title", agent.title},
                                {"package", {{"npm", agent.package.npm}, {"version", agent.package.version}}},
                                {"command", agent.command},
                                {"services", agent.services},
                                {"state", agent.state},
                                {"environment", environment},
                                {"extensions", agent.extensions},
                                {"notes", agent.notes}}
      .dump(2);
}

}  // namespace soleroute::gateway::project
