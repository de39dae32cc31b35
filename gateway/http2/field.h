// Header fields of HTTP/2 messages in the order in which they were sent; pseudo-header fields come first.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace soleroute::gateway::http2 {

struct Field {
  std::string name;  // lower case, as HTTP/2 has it
  std::string value;
  bool sensitive = false;  // its sender wants it kept out of every compression table (RFC 7541 section 7.1.3)

  bool operator==(const Field&) const = default;
};
using Fields = std::vector<Field>;

// The first of that name; null if there is none.
[[nodiscard]] inline const Field* find(const Fields& fields, std::string_view name) {
  const auto found = std::ranges::find(fields, name, &Field::name);
  return found == fields.end() ? nullptr : &*found;
}

// As SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113 section 6.5.2).
[[nodiscard]] constexpr std::size_t listed_size(std::size_t name, std::size_t value) {
  return name + value + 32;
}

// What a header list of that size takes: as it came, as a message that is decided, and as it is sent on.
[[nodiscard]] constexpr std::size_t held_for(std::size_t listed) {
  return 3 * listed;
}

}  // namespace soleroute::gateway::http2
