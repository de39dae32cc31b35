// Strict UTF-8 decoding (RFC 3629): overlong forms, surrogates and values above U+10FFFF are refused.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace soleroute::base::utf8 {

struct Decoded {
  char32_t code_point = 0;
  std::size_t size = 0;  // bytes
};

// The first character of `text`; nothing if `text` is empty or ill-formed there.
[[nodiscard]] std::optional<Decoded> decode(std::string_view text);

// The offset of the first ill-formed byte; nothing if there is none.
[[nodiscard]] std::optional<std::size_t> first_fault(std::string_view text);

// Characters in `text`, for placing a caret.
[[nodiscard]] std::size_t columns(std::string_view text);

}  // namespace soleroute::base::utf8
