// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/standard_error.h"

#include <cstdio>

namespace soleroute::base {

void to_standard_error(std::string_view text) {
  static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
}

}  // namespace soleroute::base
