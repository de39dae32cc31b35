// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/duration_option.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

#include "base/text.h"

namespace soleroute::gateway::serve {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t seconds;
};
constexpr std::array kUnits{Unit{"s", 1}, Unit{"m", 60}, Unit{"min", 60}, Unit{"h", 3600}, Unit{"d", 86400}};
constexpr std::int64_t kYear = std::int64_t{366} * 86400;

}  // namespace

base::Result<std::chrono::seconds> parse_duration(std::string_view option, std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& known : kUnits) {
    const std::int64_t seconds = number * known.seconds;
    if (error == std::errc{} && unit == known.name && seconds > 0 && seconds <= kYear) {
      return std::chrono::seconds(seconds);
    }
  }
  return base::usage_error(
      fmt::format("{}: '{}' is not a duration; write it as 90s, 15m, 2h or 1d", option, base::shown(text)));
}

}  // namespace soleroute::gateway::serve
