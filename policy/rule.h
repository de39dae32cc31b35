// One rule of a host: allow-only, every part of it must match.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/port_range.h"
#include "base/web_ports.h"
#include "policy/decision.h"
#include "policy/header_transform.h"
#include "policy/request_target.h"

namespace soleroute::policy {

// Where a grant was written: an index into the policy's files, and a line.
struct Origin {
  std::uint32_t file = 0;
  int line = 0;

  bool operator==(const Origin&) const = default;
};

enum class PathMatch : std::uint8_t {
  kAny,
  kExact,
  kPrefix,
  kGitUploadPack,  // /<owner>/<repository>/git-upload-pack; only the service catalog can say it
};

// The bytes of a rule's path that are compared without regard to ASCII case: owner and repository on GitHub.
struct FoldedPart {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  bool operator==(const FoldedPart&) const = default;
};

// What a rule asks of a request, and what is done to it, apart from where the rule was written.
struct RuleTerms {
  bool http = true;
  bool https = true;
  std::vector<std::string> methods;  // sorted; empty: any
  PathMatch path_match = PathMatch::kAny;
  std::string path;  // normalised
  FoldedPart folded{};
  std::optional<QueryParameters> query;
  std::vector<HeaderTransform> transforms;  // not empty: https alone
  base::PortRanges ports{};                 // sorted, apart; empty: http on 80 and https on 443

  [[nodiscard]] bool admits(Scheme scheme) const { return scheme == Scheme::kHttp ? http : https; }
  // Whatever is listed, 80 is a port of http alone and 443 one of https.
  [[nodiscard]] bool admits(Scheme scheme, std::uint16_t port) const {
    const bool is_http = scheme == Scheme::kHttp;
    if (!admits(scheme) || port == (is_http ? base::kHttpsPort : base::kHttpPort)) return false;
    return ports.empty() ? port == (is_http ? base::kHttpPort : base::kHttpsPort) : base::contains(ports, port);
  }
  [[nodiscard]] bool sets_headers() const { return !transforms.empty(); }
  // Needs more than the scheme to be decided.
  [[nodiscard]] bool is_about_methods() const { return !methods.empty(); }
  [[nodiscard]] bool is_about_paths() const { return path_match != PathMatch::kAny || query.has_value(); }
  [[nodiscard]] bool constrains_request() const { return is_about_methods() || is_about_paths(); }
  bool operator==(const RuleTerms&) const = default;
};

struct Rule {
  RuleTerms terms;
  Origin origin;
};

// The request as far as it is known.
struct RequestView {
  Scheme scheme = Scheme::kNone;
  std::uint16_t port = 0;  // 0: that of the scheme
  std::optional<std::string_view> method;
  std::optional<RequestTarget> target;
};

enum class Match : std::uint8_t { kNo, kPending, kYes };  // pending: what is known matches, something is not known yet

[[nodiscard]] Match match(const RuleTerms& rule, const RequestView& request);

// For people: "https only, GET HEAD, paths beginning with /v1/, no query".
[[nodiscard]] std::string describe(const RuleTerms& rule);

// As a policy would write it, on one line; empty for what only the service catalog can say.
[[nodiscard]] std::string to_yaml(const RuleTerms& rule);

}  // namespace soleroute::policy
