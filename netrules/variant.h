// A visitor made of lambdas, one for each alternative of a closed variant.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace soleroute::netrules {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace soleroute::netrules
