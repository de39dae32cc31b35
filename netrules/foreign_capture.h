// Rules of other tables that take agents' packets before ours capture them: then these are refused, and nothing tells.
// Reads the kernel of the calling thread's network namespace.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace soleroute::netrules {

// One line for each rule at prerouting, or in a chain that it may jump to, that ends tracking or translates the
// destination earlier than the table of this name does. Translations at their usual place come later.
[[nodiscard]] base::Result<std::vector<std::string>> foreign_captures(const std::string& own_table);

}  // namespace soleroute::netrules
