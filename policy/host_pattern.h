// A host as a policy writes it: a name alone, "*." and a name, which means that name and everything below it, or "*",
// which means every name. Canonical by construction: A-labels, lower case.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/host_name.h"
#include "base/result.h"

namespace soleroute::policy {

inline constexpr std::string_view kStar = "*.";      // how the text of a wildcard begins
inline constexpr std::string_view kEveryHost = "*";  // the wildcard of every name

// Of a pattern's text: does it cover names below another?
[[nodiscard]] constexpr bool is_wildcard(std::string_view pattern) {
  return pattern == kEveryHost || pattern.starts_with(kStar);
}
// Of a pattern's text: the name itself, or the one behind the star; empty for every host.
[[nodiscard]] constexpr std::string_view suffix_of(std::string_view pattern) {
  if (pattern == kEveryHost) return {};
  return pattern.substr(pattern.starts_with(kStar) ? kStar.size() : 0);
}
// Of a pattern's text: does it cover `name`?
[[nodiscard]] bool covers(std::string_view pattern, std::string_view name);

struct HostPattern {
  base::HostName name;    // has no meaning if `every`
  bool wildcard = false;  // true too if `every`
  bool every = false;

  [[nodiscard]] static HostPattern every_host();

  // The name itself, or the one behind the star; empty for every host.
  [[nodiscard]] std::string_view suffix() const { return every ? std::string_view{} : std::string_view(name.text()); }
  [[nodiscard]] std::string text() const {
    return every ? std::string(kEveryHost) : (wildcard ? std::string(kStar) : std::string()) + name.text();
  }
  bool operator==(const HostPattern&) const = default;
};

// Which wildcards are accepted: none behind which anybody can register names; those and "*"; all.
enum class Wildcards : std::uint8_t { kOfSites, kOfSitesAndEveryHost, kAny };

// Errors say what is wrong with `text` and do not name it again.
[[nodiscard]] base::Result<HostPattern> parse_host_pattern(std::string_view text,
                                                           Wildcards accepted = Wildcards::kOfSites);

// A registry delegates names below this one: com, co.uk (the ICANN part of the public suffix list). Single labels that
// no registry has (lan, internal) are not.
[[nodiscard]] bool is_public_suffix(std::string_view name);

// Anybody can register names below this one (the private part of the public suffix list: github.io, blogspot.com).
[[nodiscard]] bool is_shared_suffix(std::string_view name);

}  // namespace soleroute::policy
