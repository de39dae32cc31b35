// The form of hosts(5), and of other system files of words in lines.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <string_view>

#include "base/ip_address.h"

namespace soleroute::base {

// Cuts the next word off the front of `line`; blanks separate words. Empty at the end.
[[nodiscard]] std::string_view next_word(std::string_view& line);

// Calls `take` with each address and each name of its line, in order. Comments and lines without an address are left
// out; a name is the text of the file.
void for_each_host(std::string_view text, const std::function<void(const IpAddress&, std::string_view)>& take);

}  // namespace soleroute::base
