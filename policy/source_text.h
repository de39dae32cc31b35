// One policy text with its name: turns a position into `name:line:column: what is wrong` with the line and a caret.
// Borrows name, text and the list of faults, if there is one; immutable itself.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/policy_faults.h"

namespace soleroute::policy {

struct Position {
  int line = 0;    // 1-based; 0: the file as a whole
  int column = 0;  // 1-based, in bytes

  bool operator==(const Position&) const = default;
};

class SourceText {
 public:
  // With `faults`, each error goes into that list too, so that reading can go on behind it.
  SourceText(std::string_view name, std::string_view text, PolicyFaults* faults = nullptr)
      : name_(name), text_(text), faults_(faults) {}

  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] std::string_view text() const { return text_; }

  // A kUsage error at `position`. Control and invisible characters of the text are shown as \u{…}, never sent raw.
  [[nodiscard]] std::unexpected<base::Error> error(Position position, std::string_view what) const;
  // Are errors kept, so that a reader should go on to find more?
  [[nodiscard]] bool keeps_faults() const { return faults_ != nullptr; }

  // Without its line end; empty behind the last one.
  [[nodiscard]] std::string_view line(int number) const;

 private:
  [[nodiscard]] std::string rendered(Position position, std::string_view what) const;

  std::string_view name_;
  std::string_view text_;
  PolicyFaults* faults_;
};

// As a YAML double-quoted scalar, which a JSON string is.
[[nodiscard]] std::string yaml_quoted(const std::string& text);
// ASCII letters in lower case; all else as it is.
[[nodiscard]] std::string lowered(std::string_view text);

// The candidate that `text` is the beginning of, or else the nearest by edit distance; empty if none is near for its
// length.
[[nodiscard]] std::string_view nearest(std::string_view text, const std::vector<std::string_view>& candidates);
// ", did you mean 'host'?", or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view text, const std::vector<std::string_view>& candidates);

}  // namespace soleroute::policy
