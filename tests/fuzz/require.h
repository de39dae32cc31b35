// What must hold of every input: libFuzzer, and the replay of the corpus, report an abort.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdlib>

namespace soleroute::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace soleroute::fuzz
