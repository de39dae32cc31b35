// A DNS host name, canonical by construction: lower-case ASCII, no trailing dot, never an address in disguise.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace soleroute::base {

class HostName {
 public:
  static constexpr std::size_t kMaxLength = 253;  // RFC 1035 section 2.3.4, in text without the final dot
  static constexpr std::size_t kMaxLabel = 63;    // RFC 1035 section 2.3.4

  // ASCII letters, digits, '-' and '_' in labels, one optional trailing dot: what browsers, curl and Compose take for a
  // host. Refused: empty or over-long labels, a label that begins or ends with '-', non-ASCII (the policy converts
  // U-labels before; the wire never has them), and names whose last label is a number in any spelling inet_aton() knows
  // (WHATWG URL 3.5).
  [[nodiscard]] static Result<HostName> parse(std::string_view text);

  [[nodiscard]] const std::string& text() const { return text_; }
  // The name without its first label; empty for a single label.
  [[nodiscard]] std::string_view parent() const;
  [[nodiscard]] bool is_below(std::string_view suffix) const;  // "a.b" is below "b", not below "a.b"

  auto operator<=>(const HostName&) const = default;

 private:
  explicit HostName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace soleroute::base

template <>
struct std::hash<soleroute::base::HostName> {
  std::size_t operator()(const soleroute::base::HostName& name) const noexcept {
    return std::hash<std::string>{}(name.text());
  }
};
