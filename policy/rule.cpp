// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/rule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/ascii.h"
#include "base/text.h"
#include "policy/source_text.h"

namespace soleroute::policy {
namespace {

constexpr std::string_view kUploadPack = "/git-upload-pack";

bool is_upload_pack(std::string_view path) {
  if (!path.ends_with(kUploadPack)) return false;
  const auto repository = path.substr(0, path.size() - kUploadPack.size());
  if (std::ranges::count(repository, '/') != 2 || repository.find('%') != std::string_view::npos) return false;
  const auto second = repository.rfind('/');
  return second > 1 && second + 1 < repository.size();
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, base::lower, base::lower);
}

// Both are normalised, so that what is folded can hold no escape, dot segment or slash that the rule does not.
bool begins_with_path(const RuleTerms& rule, std::string_view path) {
  const std::string_view wanted = rule.path;
  const auto [begin, end] = rule.folded;
  if (begin == end) return path.starts_with(wanted);
  return path.size() >= wanted.size() && path.starts_with(wanted.substr(0, begin)) &&
         same_ignoring_case(path.substr(begin, end - begin), wanted.substr(begin, end - begin)) &&
         path.substr(end).starts_with(wanted.substr(end));
}

bool path_matches(const RuleTerms& rule, std::string_view path) {
  switch (rule.path_match) {
    case PathMatch::kAny:
      return true;
    case PathMatch::kExact:
      return path.size() == rule.path.size() && begins_with_path(rule, path);
    case PathMatch::kPrefix:
      return begins_with_path(rule, path);
    case PathMatch::kGitUploadPack:
      return is_upload_pack(path);
  }
  return false;
}

bool target_matches(const RuleTerms& rule, const RequestTarget& target) {
  if (rule.path_match != PathMatch::kAny && !(target.path && path_matches(rule, *target.path))) return false;
  return !rule.query || (target.query && *target.query == *rule.query);
}

std::string query_to_yaml(const QueryParameters& query) {
  std::map<std::string, std::vector<std::string>> values;
  for (const auto& [name, value] : query) values[name].push_back(yaml_quoted(value));
  std::vector<std::string> parts;
  for (const auto& [name, list] : values)
    parts.push_back(fmt::format("{}: [{}]", yaml_quoted(name), fmt::join(list, ", ")));
  return fmt::format("query: {{exact: {{{}}}}}", fmt::join(parts, ", "));
}

std::string describe_query(const QueryParameters& query) {
  if (query.empty()) return ", no query";
  std::vector<std::string> parts;
  parts.reserve(query.size());
  for (const auto& [name, value] : query) parts.push_back(base::shown(name) + "=" + base::shown(value));
  return fmt::format(", query exactly {}", fmt::join(parts, "&"));
}

}  // namespace

Match match(const RuleTerms& rule, const RequestView& request) {
  const auto usual = request.scheme == Scheme::kHttp ? base::kHttpPort : base::kHttpsPort;
  if (!rule.admits(request.scheme, request.port == 0 ? usual : request.port)) return Match::kNo;
  bool pending = false;
  if (!rule.methods.empty()) {
    if (request.method && std::ranges::find(rule.methods, *request.method) == rule.methods.end()) return Match::kNo;
    pending = !request.method;
  }
  if (rule.path_match != PathMatch::kAny || rule.query) {
    if (request.target && !target_matches(rule, *request.target)) return Match::kNo;
    pending = pending || !request.target;
  }
  return pending ? Match::kPending : Match::kYes;
}

std::string to_yaml(const RuleTerms& rule) {
  if (rule.path_match == PathMatch::kGitUploadPack || rule.folded != FoldedPart{}) return {};
  std::vector<std::string> parts;
  parts.push_back(fmt::format("schemes: [{}]", rule.http && rule.https ? "http, https"
                                               : rule.https            ? "https"
                                                                       : "http"));
  if (!rule.methods.empty()) {
    std::vector<std::string> methods;
    methods.reserve(rule.methods.size());
    for (const auto& method : rule.methods) methods.push_back(yaml_quoted(method));
    parts.push_back(fmt::format("methods: [{}]", fmt::join(methods, ", ")));
  }
  if (rule.path_match != PathMatch::kAny) {
    const auto how = rule.path_match == PathMatch::kExact ? "exact" : "prefix";
    parts.push_back(fmt::format("path: {{{}: {}}}", how, yaml_quoted(rule.path)));
  }
  if (rule.query) parts.push_back(query_to_yaml(*rule.query));
  if (rule.sets_headers()) parts.push_back(to_yaml(rule.transforms));
  return fmt::format("{{{}}}", fmt::join(parts, ", "));
}

std::string describe(const RuleTerms& rule) {
  std::string out = rule.http && rule.https ? "http and https" : rule.https ? "https only" : "http only";
  out += rule.methods.empty() ? ", any method" : fmt::format(", {}", fmt::join(rule.methods, " "));
  switch (rule.path_match) {
    case PathMatch::kAny:
      break;
    case PathMatch::kExact:
      out += fmt::format(", path exactly {}", base::shown(rule.path));
      break;
    case PathMatch::kPrefix:
      out += fmt::format(", paths beginning with {}", base::shown(rule.path));
      break;
    case PathMatch::kGitUploadPack:
      out += ", git fetch (/<owner>/<repository>/git-upload-pack)";
      break;
  }
  if (rule.folded != FoldedPart{}) out += " (owner and repository in any case)";
  if (rule.query) out += describe_query(*rule.query);
  if (!rule.ports.empty()) {
    const bool one = rule.ports.size() == 1 && rule.ports.front().is_single();
    out += fmt::format(", on {} {}", one ? "port" : "ports", base::to_string(rule.ports));
  }
  for (const auto& transform : rule.transforms) {
    out += fmt::format("; {} {}", transform.replace ? "replaces" : "sets", describe(transform));
  }
  return out;
}

}  // namespace soleroute::policy
