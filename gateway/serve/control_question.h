// One question of the control socket, read from its line of JSON.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace soleroute::gateway::serve {

struct ControlQuestion {
  std::string ask;
  std::string host{};                           // of allow, deny and forget: an item as `--allow` takes it
  std::string agent{};                          // empty: the common policy
  std::optional<std::chrono::seconds> lasts{};  // "for_s"; absent: until the gateway stops
  bool save = false;                            // into the policy file
  std::uint64_t id = 0;                         // of answer: a held request
  std::string verdict{};                        // of answer: once, for, always or no
};

inline constexpr std::chrono::hours kLongestEntry{24 * 30};

// Errors: what is wrong with it, for the one who asks. Unknown fields are errors: a field that is not understood could
// be one that narrows.
[[nodiscard]] base::Result<ControlQuestion> parse_control_question(std::string_view line);

}  // namespace soleroute::gateway::serve
