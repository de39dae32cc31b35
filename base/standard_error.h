// Text for people on standard error.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string_view>

namespace soleroute::base {

// What cannot be written (a full disk, a closed pipe) is lost: there is nowhere left to say so.
void to_standard_error(std::string_view text);

}  // namespace soleroute::base
