// What an edit of a policy opens and closes, by what it decides and not by its text.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace soleroute::policy {

enum class Effect : std::uint8_t {
  kOpens,    // something is allowed that was not
  kCloses,   // something is denied that was allowed
  kChanges,  // neither: how it is done changes
};

struct Change {
  Effect effect = Effect::kChanges;
  std::string agent{};    // whose policy, now or before; empty: that of clients without one
  std::string subject{};  // a host ("*.example.com"), a range of addresses, or "the whole policy"
  std::string what{};     // "https only, POST, paths beginning with /v1/"
  std::string file{};     // of the line that decides, in the new policy for what opens, else in the old one
  int line = 0;

  bool operator==(const Change&) const = default;
};

// In the order of the new policy's hosts, then of the old one's. Names, methods, paths, queries, ports and addresses
// are divided where either policy turns, and decide() is asked once for each part, so nothing that decides is left out.
// A host with too many parts (kMaxParts) counts as opened.
[[nodiscard]] std::vector<Change> difference(const Policy& before, const Policy& after);
inline constexpr std::size_t kMaxParts = 200'000;

}  // namespace soleroute::policy
