// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/yaml_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "policy/yaml_diagnosis.h"

namespace soleroute::policy {
namespace {

// Keys that belong elsewhere: earlier forms of agent-sandbox's, and those that are easily put a level too high.
struct Elsewhere {
  std::string_view key;
  std::string_view where;
};
constexpr std::array<Elsewhere, 8> kElsewhere{{
    {"surfaces", "the github service has 'git' and 'api' instead"},
    {"access", "it goes under 'git' or 'api' of the github service"},
    {"auth", "it goes under 'git' or 'api' of the github service"},
    {"client_shim", "it goes under 'auth'"},
    {"repos", "it goes beside 'name: github' under 'services'"},
    {"transform", "it goes with an item of 'domains', or with a rule"},
    {"inject", "it is now 'transform: {request: …}'"},
    {"credential_shim", "a policy cannot set it; use 'client_shim' under 'auth'"},
}};

}  // namespace

std::unexpected<base::Error> YamlReader::wrong_type(const YamlNode& node, std::string_view what,
                                                    std::string_view wanted) const {
  const auto found = type_name(node);
  const bool coerced = node.is_scalar() && !node.quoted && found != "text" && wanted == "text";
  const bool glued = node.is_scalar() && !node.quoted && !wanted.contains("text");
  return error(node, fmt::format("{} must be {}, not {}{}", what, wanted, found,
                                 coerced && !node.text.empty() ? "; quote it if it is meant as text"
                                 : glued                       ? spelling_hint(node.text)
                                                               : ""));
}

base::Result<std::string_view> YamlReader::text(const YamlNode& node, std::string_view what) const {
  if (!is_text(node)) return wrong_type(node, what, "text");
  return std::string_view(node.text);
}

base::Result<bool> YamlReader::boolean(const YamlNode& node, std::string_view what) const {
  if (type_name(node) != "a boolean") return wrong_type(node, what, "true or false");
  if (node.text == "true" || node.text == "True" || node.text == "TRUE") return true;
  if (node.text == "false" || node.text == "False" || node.text == "FALSE") return false;
  return error(node, fmt::format("{} must be true or false, not '{}'", what, node.text));
}

base::Result<std::string_view> YamlReader::choice(const YamlNode& node, std::string_view what,
                                                  const std::vector<std::string_view>& choices) const {
  if (!node.is_scalar()) return wrong_type(node, what, fmt::format("one of {}", fmt::join(choices, ", ")));
  const auto found = std::ranges::find(choices, node.text);
  if (found != choices.end()) return *found;
  return error(node, fmt::format("{} must be one of {}, not '{}'{}", what, fmt::join(choices, ", "),
                                 base::shown(node.text), did_you_mean(node.text, choices)));
}

base::Status YamlReader::each(const YamlNode& node, std::string_view what, bool empty_ok, const Visit& visit) const {
  if (empty_ok && node.is_null()) return {};
  if (!node.is_sequence()) return wrong_type(node, what, "a list");
  if (!empty_ok && node.children.empty()) return error(node, fmt::format("{} must not be empty", what));
  base::Status first;
  for (const auto& item : node.children) {
    if (!go_on(visit(item), first)) break;
  }
  return first;
}

// Is there more to read behind `status`? Behind an error only where all errors are wanted; `first` keeps the first.
bool YamlReader::go_on(base::Status status, base::Status& first) const {
  if (status) return true;
  if (first) first = std::move(status);
  return source_.keeps_faults();
}

base::Status YamlReader::keys(const YamlNode& node, std::string_view what, std::span<const Key> known) const {
  if (!node.is_mapping()) return wrong_type(node, what, "a mapping");
  base::Status first;
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    const auto& key = node.children[i];
    const auto found = std::ranges::find(known, key.text, &Key::name);
    base::Status status;
    if (found == known.end()) {
      status = unknown_key(key, known);
    } else {
      status = found->read(node.children[i + 1]);
    }
    if (!go_on(std::move(status), first)) break;
  }
  return first;
}

std::unexpected<base::Error> YamlReader::unknown_key(const YamlNode& key, std::span<const Key> known) const {
  const auto elsewhere = std::ranges::find(kElsewhere, key.text, &Elsewhere::key);
  if (elsewhere != kElsewhere.end()) {
    return error(key, fmt::format("key '{}' is not allowed here: {}", key.text, elsewhere->where));
  }
  std::vector<std::string_view> names;
  for (const auto& each : known) names.push_back(each.name);
  if (const auto hint = key.quoted ? std::string{} : spelling_hint(key.text); !hint.empty()) {
    return error(key, fmt::format("unknown key '{}'{}", base::shown(key.text.substr(0, 80)), hint));
  }
  const std::string suggestion = did_you_mean(key.text, names);
  return error(key,
               fmt::format("unknown key '{}'{}", base::shown(key.text.substr(0, 80)),
                           suggestion.empty() ? fmt::format("; expected {}", fmt::join(names, ", ")) : suggestion));
}

}  // namespace soleroute::policy
