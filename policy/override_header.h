// Request headers by which servers and frameworks take another method or path than the request line names: under a rule
// about that, what is decided would not be what is done.
// Plain values.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>

namespace soleroute::policy {

// The names that a request brings, as this library spells them (static text); empty: none.
struct OverrideHeaders {
  std::string_view method{};
  std::string_view path{};

  // Looks at one more field, in any case and with '_' for '-'. `request_method`: Destination is one with COPY and MOVE.
  void see(std::string_view name, std::string_view request_method);
};

// For anything with a `name`.
template <class Fields>
[[nodiscard]] OverrideHeaders override_headers(const Fields& fields, std::string_view request_method) {
  OverrideHeaders found;
  for (const auto& field : fields) found.see(field.name, request_method);
  return found;
}

}  // namespace soleroute::policy
