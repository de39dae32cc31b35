// Where things are in the text of a YAML document: its lines, their indentation, and the end of a block or of brackets.
// Immutable; borrows the text, which has LF line ends (clean_text()).
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "policy/source_text.h"

namespace soleroute::policy {

class YamlLayout {
 public:
  explicit YamlLayout(std::string_view text);

  [[nodiscard]] std::string_view text() const { return text_; }
  // Lines count from 1, as in Position.
  [[nodiscard]] int line_count() const { return static_cast<int>(begins_.size()); }
  [[nodiscard]] std::string_view line(int number) const;
  [[nodiscard]] std::size_t line_end(int number) const;  // offset of its line end
  [[nodiscard]] int line_of(std::size_t offset) const;
  [[nodiscard]] std::size_t offset(Position position) const;
  [[nodiscard]] std::size_t indent(int number) const;  // spaces in front
  [[nodiscard]] bool has_content(int number) const;    // neither blank nor a comment
  [[nodiscard]] bool is_comment(int number) const;
  [[nodiscard]] bool is_blank(int number) const { return !has_content(number) && !is_comment(number); }

  // Behind anchors and tags, and the space behind them: where the value itself begins.
  [[nodiscard]] std::size_t value_begin(Position position) const;

  // The last line of the block that begins on `first`. Its other lines are indented by `column` spaces at least;
  // `dashes`: those that have exactly so many begin with a dash. Comments right behind it that are indented like the
  // block belong to it.
  [[nodiscard]] int block_end(int first, std::size_t column, bool dashes) const;

  struct Brackets {
    std::size_t close = 0;    // offset of the closing bracket
    std::size_t content = 0;  // offset behind the last character inside that is neither space nor comment
    bool empty = false;       // there is no such character
    bool comma = false;       // that character is a comma
  };
  // `open`: offset of '[' or '{'. close is text().size() if nothing closes it.
  [[nodiscard]] Brackets brackets(std::size_t open) const;

 private:
  std::string_view text_;
  std::vector<std::size_t> begins_;  // offset of each line
};

}  // namespace soleroute::policy
