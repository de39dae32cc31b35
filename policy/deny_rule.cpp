// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/deny_rule.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/ascii.h"

namespace soleroute::policy {
namespace {

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), base::lower);
  return text;
}

// A segment as servers look it up: without path parameters (";x"), and without what Windows cuts off its end.
std::string_view plain_segment(std::string_view segment) {
  segment = segment.substr(0, segment.find(';'));
  const auto last = segment.find_last_not_of(" .");
  return segment.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// Nothing: servers read the path in more than one way.
std::optional<std::string> widest_path(std::string_view written) {
  const auto normalised = normalised_path(written);
  if (!normalised) return std::nullopt;
  const std::string decoded = lower_case(decoded_whole(*normalised));
  std::string_view rest = std::string_view(decoded).substr(0, decoded.find('?'));
  std::string out;
  bool folder = true;  // a slash is its last character
  while (!rest.empty()) {
    const auto segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), segment.size() + 1));
    const auto plain = plain_segment(segment);
    folder = plain.empty() || (rest.empty() && decoded.ends_with('/'));
    if (!plain.empty()) out.append("/").append(plain);
  }
  return folder ? out + "/" : out;
}

// Parameters end at '&', and at ';' for old servers. Nothing: too many of them, or too long.
std::optional<QueryParameters> widest_query(std::string_view query) {
  if (query.size() > kMaxTargetBytes) return std::nullopt;
  const auto plain = [](std::string_view text) {
    std::string spaced(text);
    std::ranges::replace(spaced, '+', ' ');
    return lower_case(decoded_whole(spaced));
  };
  QueryParameters out;
  while (!query.empty()) {
    const auto piece = query.substr(0, query.find_first_of("&;"));
    query.remove_prefix(std::min(query.size(), piece.size() + 1));
    if (piece.empty()) continue;
    if (out.size() == kMaxQueryParameters) return std::nullopt;
    const auto equals = piece.find('=');
    const auto value = equals == std::string_view::npos ? std::string_view{} : piece.substr(equals + 1);
    out.emplace_back(plain(piece.substr(0, equals)), plain(value));
  }
  return out;
}

bool has_path(const DenyRule& rule, WideTarget& target) {
  if (rule.terms.path_match == PathMatch::kAny) return true;
  const auto& path = target.path();
  if (!path) return true;
  if (rule.terms.path_match == PathMatch::kPrefix) return path->starts_with(rule.path);
  const auto without_slash = [](std::string_view text) {
    return text.ends_with('/') ? text.substr(0, text.size() - 1) : text;
  };
  return without_slash(*path) == without_slash(rule.path);
}

bool has_query(const DenyRule& rule, WideTarget& target) {
  if (!rule.terms.query) return true;
  const auto& query = target.query();
  return !query || std::ranges::all_of(rule.query, [&](const auto& wanted) {
    return std::ranges::find(*query, wanted) != query->end();
  });
}

bool has_method(const DenyRule& rule, std::string_view method) {
  return std::ranges::any_of(rule.terms.methods, [&](const std::string& denied) {
    return std::ranges::equal(denied, method, {}, base::lower, base::lower);
  });
}

}  // namespace

DenyRule deny_rule(const RuleTerms& terms) {
  DenyRule rule{.terms = terms};
  rule.path = widest_path(terms.path).value_or("/");
  if (!terms.query) return rule;
  for (const auto& [name, value] : *terms.query) {
    rule.query.emplace_back(lower_case(decoded_whole(name)), lower_case(decoded_whole(value)));
  }
  return rule;
}

const std::optional<std::string>& WideTarget::path() {
  if (std::exchange(has_path_, true)) return path_;
  const std::string_view target = facts_.target.value_or("");
  if (!target.contains('#')) path_ = widest_path(target.substr(0, target.find('?')));  // a fragment is never sent
  return path_;
}

const std::optional<QueryParameters>& WideTarget::query() {
  if (std::exchange(has_query_, true)) return query_;
  const std::string_view target = facts_.target.value_or("");
  const auto mark = target.find('?');
  query_ = widest_query(mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1));
  return query_;
}

DenyMatch match(const DenyRule& rule, const FlowFacts& request, WideTarget& target) {
  const auto& terms = rule.terms;
  if (request.phase == Phase::kTls && !terms.https) return {};
  if (request.phase == Phase::kHttp && request.scheme != Scheme::kNone && !terms.admits(request.scheme)) return {};
  if (request.phase != Phase::kHttp) {
    const bool whole = request.phase == Phase::kTls && !terms.constrains_request();
    return {.match = whole ? Match::kYes : Match::kPending};
  }
  DenyMatch found{.match = Match::kYes};
  if (terms.is_about_methods()) {
    if (!request.overrides.method.empty()) {
      found.override_header = request.overrides.method;
    } else if (!request.method) {
      found.match = Match::kPending;
    } else if (!has_method(rule, *request.method)) {
      return {};
    }
  }
  if (!terms.is_about_paths()) return found;
  if (!request.overrides.path.empty()) {
    found.override_header = request.overrides.path;
  } else if (!request.target) {
    found.match = Match::kPending;
  } else if (!has_path(rule, target) || !has_query(rule, target)) {
    return {};
  }
  return found;
}

}  // namespace soleroute::policy
