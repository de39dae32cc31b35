// A header that the gateway sets on an allowed request, made from a secret that the agent never sees.
// Plain values: they name the secret by its ID and never hold it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace soleroute::policy {

enum class HeaderForm : std::uint8_t {
  kBearer,  // "Bearer <secret>" (RFC 6750 section 2.1)
  kBasic,   // "Basic base64(username:secret)" (RFC 7617 section 2)
  kRaw,     // the secret is the whole value
};

struct HeaderTransform {
  std::string name;  // as it is sent
  HeaderForm form = HeaderForm::kBearer;
  std::string username;  // kBasic only
  std::string secret;    // its ID
  bool replace = false;  // a field of this name in the request is replaced; otherwise the request is refused

  bool operator==(const HeaderTransform&) const = default;
};

inline constexpr std::size_t kMaxSecretIdBytes = 128;

// A file name everywhere and nothing else: [A-Za-z0-9._-], neither "." nor "..".
[[nodiscard]] bool is_secret_id(std::string_view text);

// Servers that hand headers to programs as variables (RFC 3875 section 4.1.18) cannot tell "X-Key" from "x_key", so
// the two are one name here.
[[nodiscard]] bool same_header(std::string_view a, std::string_view b);

// For people: "Authorization: Bearer <secret id>".
[[nodiscard]] std::string describe(const HeaderTransform& transform);

// As a policy would write it, on one line: "transform: {request: {…}}". Not for an empty list.
[[nodiscard]] std::string to_yaml(std::span<const HeaderTransform> transforms);

}  // namespace soleroute::policy
