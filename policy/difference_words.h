// In which words a comparison of two policies says what it finds about one subject.
// Plain values; for policy/difference*.cpp alone.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <compare>
#include <string>
#include <utility>
#include <vector>

#include "policy/decision.h"
#include "policy/difference.h"

namespace soleroute::policy {

// What the parts of one subject have in common: which line decides them, and in which words.
struct Words {
  Effect effect = Effect::kChanges;
  std::string what{};
  std::string file{};
  int line = 0;
  auto operator<=>(const Words&) const = default;
};
// In the order of first mention.
class Found {
 public:
  void add(Words words) {
    if (std::ranges::find(list_, words) == list_.end()) list_.push_back(std::move(words));
  }
  [[nodiscard]] const std::vector<Words>& list() const { return list_; }
  bool operator==(const Found&) const = default;

 private:
  std::vector<Words> list_;
};

[[nodiscard]] inline Words words_at(Effect effect, std::string what, const SourceLine& line) {
  return {effect, std::move(what), std::string(line.file), line.line};
}

}  // namespace soleroute::policy
