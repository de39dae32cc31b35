// Coder's boundary (Agent Firewall): rules "method=GET domain=example.com path=/api/*" in `allowlist:` or --allow.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/text.h"
#include "gateway/importers/formats.h"
#include "gateway/importers/text_scan.h"
#include "gateway/importers/yaml_input.h"

namespace soleroute::gateway::importers {
namespace {

struct BoundaryRule {
  std::vector<std::string_view> domains{};
  std::vector<std::string> methods{};
  std::vector<std::string> paths{};  // YAML
};

// Empty: any path, or nothing that a rule can say.
enum class PathKind { kAny, kRule, kNone };

PathKind read_path(std::string_view path, std::string& out) {
  if (path == "*" || path == "/*") return PathKind::kAny;
  const auto star = path.find('*');
  if (star == std::string_view::npos) {
    out = exact_path(path);
    return PathKind::kRule;
  }
  if (star + 1 != path.size()) return PathKind::kNone;
  out = path_prefix(path.substr(0, star));
  return PathKind::kRule;
}

void add(const BoundaryRule& rule, Draft& draft) {
  std::vector<Terms> terms;
  for (const auto& path : rule.paths) terms.push_back({.methods = rule.methods, .path = path});
  if (terms.empty()) terms.push_back({.methods = rule.methods});
  for (const auto domain : rule.domains) {
    const bool below = domain.starts_with("*.");
    draft.host(Verdict::kAllow, below ? Reach::kBelow : Reach::kName, domain.substr(below ? 2 : 0), terms);
  }
}

void read_rule(std::string_view text, Draft& draft) {
  BoundaryRule rule;
  for (const auto pair : split(text, " \t")) {
    const auto equals = std::min(pair.find('='), pair.size());
    const auto key = pair.substr(0, equals);
    for (const auto value : split(pair.substr(std::min(equals + 1, pair.size())), ",")) {
      std::string path;
      if (key == "domain") {
        rule.domains.push_back(value);
      } else if (key == "method") {
        if (value != "*") rule.methods.emplace_back(value);
      } else if (key != "path") {
        return draft.omit(text, "not method, domain or path");
      } else if (const auto kind = read_path(value, path); kind == PathKind::kNone) {
        return draft.omit(text, "a star inside a path; write a prefix");
      } else if (kind == PathKind::kRule) {
        rule.paths.push_back(path);
      }
    }
  }
  if (rule.domains.empty()) return draft.omit(text, "every host; list the hosts that are needed");
  add(rule, draft);
}

}  // namespace

base::Status read_boundary(const Input& input, Draft& draft) {
  draft.mean("A bare name covers this name alone, here and there.");
  auto rules = option_values(input.text, "--allow");
  if (rules.empty()) {
    SR_LET(root, parse_input(input));
    const auto* list = value_of(*root, "allowlist");
    if (list == nullptr) return base::usage_error(fmt::format("{}: no 'allowlist:'", base::shown(input.name)));
    for (const auto rule : texts_of(list)) rules.emplace_back(rule);
  }
  for (const auto& rule : rules) read_rule(rule, draft);
  return {};
}

}  // namespace soleroute::gateway::importers
