// The target of an HTTP request in the one form that rules are compared with.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace soleroute::policy {

inline constexpr std::size_t kMaxTargetBytes = 65536;     // longer ones match no rule with a path or a query
inline constexpr std::size_t kMaxQueryParameters = 1000;  // likewise

// Names and values decoded, sorted: equal exactly if the multimaps are.
using QueryParameters = std::vector<std::pair<std::string, std::string>>;

// Percent-encoding normalised (RFC 3986 section 6.2.2): unreserved characters literal, the rest as %XX in upper case,
// case kept. Nothing when servers could disagree on which resource it names: dot segments in any spelling (also behind
// encoded or double-encoded slashes and path parameters, with blanks, or in look-alikes of dots, slashes and blanks),
// backslashes, control characters, ill-formed escapes or UTF-8.
[[nodiscard]] std::optional<std::string> normalised_path(std::string_view path);

// application/x-www-form-urlencoded, as query strings are read: '&' separates, '+' is a space. Nothing if an escape is
// ill-formed or there are too many parameters.
[[nodiscard]] std::optional<QueryParameters> parse_query(std::string_view query);

// Percent-encoding and look-alikes of ASCII characters decoded as often as any server does, which need not be
// well-formed.
[[nodiscard]] std::string decoded_whole(std::string_view text);

struct RequestTarget {
  std::optional<std::string> path;
  std::optional<QueryParameters> query;
};
// An origin-form target ("/path?query").
[[nodiscard]] RequestTarget parse_target(std::string_view target);

}  // namespace soleroute::policy
