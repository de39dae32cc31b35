// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/hosts_file.h"

#include <algorithm>

#include "base/text.h"

namespace soleroute::base {

std::string_view next_word(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  const auto begin = std::min(line.find_first_not_of(kBlanks), line.size());
  const auto end = std::min(line.find_first_of(kBlanks, begin), line.size());
  const auto word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

void for_each_host(std::string_view text, const std::function<void(const IpAddress&, std::string_view)>& take) {
  for (std::string_view line : lines_of(text)) {
    line = line.substr(0, line.find('#'));
    const auto address = IpAddress::parse(next_word(line));
    if (!address) continue;
    for (auto name = next_word(line); !name.empty(); name = next_word(line)) take(*address, name);
  }
}

}  // namespace soleroute::base
