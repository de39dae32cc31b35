// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/rule_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/text.h"
#include "policy/source_text.h"

namespace soleroute::policy {
namespace {

using base::Status;

// token (RFC 9110 section 5.6.2)
bool is_token(std::string_view text) {
  constexpr std::string_view kSymbols = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return base::is_alphanumeric(c) || kSymbols.find(c) != std::string_view::npos;
  });
}

std::string upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return out;
}

}  // namespace

// One scheme more.
Status RuleReader::scheme(const YamlNode& node, LocatedRule& rule) const {
  if (rule.schemes_position.line == 0) rule.terms.http = rule.terms.https = false;
  YamlNode scheme_name = node;
  scheme_name.text = lowered(node.text);
  SR_LET(chosen, yaml_.choice(scheme_name, "a scheme", {"http", "https"}));
  const bool http = *chosen == "http";
  (http ? rule.terms.http : rule.terms.https) = true;
  if (http || rule.schemes_position.line == 0) rule.schemes_position = node.position;
  return {};
}

Status RuleReader::schemes(const YamlNode& node, LocatedRule& rule) const {
  return yaml_.each(node, "schemes", false, [&](const YamlNode& item) { return scheme(item, rule); });
}

// One method more.
Status RuleReader::method(const YamlNode& node, RuleTerms& terms) const {
  SR_LET(text, yaml_.text(node, "a method"));
  if (!is_token(*text)) {
    return yaml_.error(node, fmt::format("'{}' is not a method name", base::shown(text->substr(0, 80))));
  }
  terms.methods.push_back(upper(*text));
  std::ranges::sort(terms.methods);
  terms.methods.erase(std::ranges::unique(terms.methods).begin(), terms.methods.end());
  return {};
}

Status RuleReader::methods(const YamlNode& node, RuleTerms& terms) const {
  return yaml_.each(node, "methods", false, [&](const YamlNode& item) { return method(item, terms); });
}

Status RuleReader::path_text(const YamlNode& node, PathMatch match, RuleTerms& terms) const {
  const std::string_view what = match == PathMatch::kExact ? "path.exact" : "path.prefix";
  SR_LET(text, yaml_.text(node, what));
  if (!text->starts_with('/')) return yaml_.error(node, fmt::format("{} must begin with '/'", what));
  if (text->find_first_of("?#") != std::string_view::npos) {
    return yaml_.error(node, fmt::format("{} contains '?' or '#'; put a query under 'query:'", what));
  }
  auto normalised = normalised_path(*text);
  if (!normalised) {
    return yaml_.error(node, fmt::format("{} can never match: dot segments, backslashes, control characters and "
                                         "ill-formed escapes are refused in requests",
                                         what));
  }
  if (terms.path_match != PathMatch::kAny) return yaml_.error(node, "a path is either 'exact' or 'prefix', not both");
  terms.path_match = match;
  terms.path = std::move(*normalised);
  return {};
}

Status RuleReader::path(const YamlNode& node, bool in_catalog, RuleTerms& terms) const {
  std::vector<YamlReader::Key> known{
      {"exact", [&](const YamlNode& value) { return path_text(value, PathMatch::kExact, terms); }},
      {"prefix", [&](const YamlNode& value) { return path_text(value, PathMatch::kPrefix, terms); }},
  };
  const auto git = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "path.git", {"upload-pack"}));
    terms.path_match = PathMatch::kGitUploadPack;
    return {};
  };
  if (in_catalog) known.push_back({"git", git});
  if (node.is_scalar()) {
    return yaml_.error(node, "a path must be {exact: …} or {prefix: …}");
  }
  SR_TRY(yaml_.keys(node, "path", known));
  if (terms.path_match == PathMatch::kAny) return yaml_.error(node, "a path needs 'exact' or 'prefix'");
  return {};
}

Status RuleReader::query_exact(const YamlNode& node, RuleTerms& terms) const {
  if (!node.is_mapping()) return yaml_.wrong_type(node, "query.exact", "a mapping of parameters; {} means no query");
  QueryParameters parameters;
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    const auto& name = node.children[i];
    const auto& values = node.children[i + 1];
    if (name.text.empty()) return yaml_.error(name, "a query parameter without a name");
    const auto add = [&](const YamlNode& value) -> Status {
      if (!value.is_scalar()) return yaml_.wrong_type(value, "the value of a query parameter", "text");
      parameters.emplace_back(name.text, value.text);
      return {};
    };
    auto status =
        values.is_sequence() ? yaml_.each(values, "the values of a query parameter", false, add) : add(values);
    if (!status) return status;
  }
  if (parameters.size() > kMaxQueryParameters) return yaml_.error(node, "too many query parameters");
  std::ranges::sort(parameters);
  terms.query = std::move(parameters);
  return {};
}

Status RuleReader::query(const YamlNode& node, RuleTerms& terms) const {
  const std::array<YamlReader::Key, 1> known{
      {{"exact", [&](const YamlNode& value) { return query_exact(value, terms); }}}};
  SR_TRY(yaml_.keys(node, "query", known));
  if (!terms.query) return yaml_.error(node, "a query needs 'exact'");
  return {};
}

Status RuleReader::rule(const YamlNode& node, bool in_catalog, std::vector<LocatedRule>& out) const {
  LocatedRule rule{.terms = {}, .position = node.position};
  // `scheme` and `method` are agent-sandbox's short forms; in errors the long ones come first.
  const std::array<YamlReader::Key, 7> known{{
      {"schemes", [&](const YamlNode& value) { return schemes(value, rule); }},
      {"methods", [&](const YamlNode& value) { return methods(value, rule.terms); }},
      {"path", [&](const YamlNode& value) { return path(value, in_catalog, rule.terms); }},
      {"query", [&](const YamlNode& value) { return query(value, rule.terms); }},
      {"transform", [&](const YamlNode& value) { return transform(value, rule.terms.transforms); }},
      {"scheme", [&](const YamlNode& value) { return scheme(value, rule); }},
      {"method", [&](const YamlNode& value) { return method(value, rule.terms); }},
  }};
  SR_TRY(yaml_.keys(node, "a rule", known));
  if (node.children.empty()) {
    return yaml_.error(node, "the rule is empty; to allow everything on this host, remove 'rules'");
  }
  SR_TRY(settle({}, rule));
  out.push_back(std::move(rule));
  return {};
}

Status RuleReader::settle(const std::vector<HeaderTransform>& of_host, LocatedRule& rule) const {
  if (!rule.terms.sets_headers()) rule.terms.transforms = of_host;
  if (!rule.terms.sets_headers()) return {};
  if (rule.schemes_position.line != 0 && rule.terms.http) {
    return yaml_.error(rule.schemes_position,
                       "a rule with a transform is for https only, because a secret is never sent in "
                       "clear text: remove http, or write a separate rule for it");
  }
  rule.terms.http = false;
  return {};
}

Status RuleReader::rules(const YamlNode& node, bool in_catalog, std::vector<LocatedRule>& out) const {
  return yaml_.each(node, "rules", false, [&](const YamlNode& item) { return rule(item, in_catalog, out); });
}

}  // namespace soleroute::policy
