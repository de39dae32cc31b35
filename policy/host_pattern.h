// A host as a policy writes it: a name alone, or "*." and a name, which means that name and everything below it.
// Canonical by construction: A-labels, lower case, no public suffix behind the star.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "base/host_name.h"
#include "base/result.h"

namespace soleroute::policy {

inline constexpr std::string_view kStar = "*.";  // how the text of a wildcard begins

struct HostPattern {
  base::HostName name;
  bool wildcard = false;

  [[nodiscard]] std::string text() const { return (wildcard ? std::string(kStar) : std::string()) + name.text(); }
};

// Errors say what is wrong with `text` and do not name it again.
[[nodiscard]] base::Result<HostPattern> parse_host_pattern(std::string_view text);

// A registry delegates names below this one: com, co.uk (the ICANN part of the public suffix list). Single labels that
// no registry has (lan, internal) are not.
[[nodiscard]] bool is_public_suffix(std::string_view name);

// Anybody can register names below this one (the private part of the public suffix list: github.io, blogspot.com).
[[nodiscard]] bool is_shared_suffix(std::string_view name);

}  // namespace soleroute::policy
