// Texts that others wrote, made harmless for a terminal and for the line that they stand in.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace soleroute::base {

// Control characters, and those that move, hide or reorder what a reader sees, or make one text look like another.
[[nodiscard]] bool is_invisible(char32_t code_point);

// `text` with invisible and ill-formed characters as \u{…} or \x{…}, a tab as a space; other UTF-8 as it is.
[[nodiscard]] std::string shown(std::string_view text);

// The first `most` bytes; all but printable ASCII as '?'.
[[nodiscard]] std::string shown_ascii(std::string_view text, std::size_t most);

// The lines of `text`, which it borrows from; one that ends the text may be without a line end.
[[nodiscard]] std::vector<std::string_view> lines_of(std::string_view text);
// Each line behind `margin`, with a line end.
[[nodiscard]] std::string indented(std::string_view text, std::string_view margin);

}  // namespace soleroute::base
