// Colour in what commands print: whether it is wanted, and which word gets which.
// Single-threaded: the choice is made once, while the command line is parsed.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace soleroute::gateway::commands {

enum class ColourChoice : std::uint8_t { kAuto, kAlways, kNever };

struct ColourEnvironment {  // values of the variables; unset is empty
  std::string_view no_color{};
  std::string_view force_color{};
  std::string_view clicolor_force{};
  std::string_view clicolor{};
  std::string_view term{};
};

// --color decides. Else NO_COLOR forbids (no-color.org), FORCE_COLOR and CLICOLOR_FORCE demand unless they are "0",
// and a terminal gets colour where TERM is not "dumb" and CLICOLOR not "0".
[[nodiscard]] bool is_colour_wanted(ColourChoice choice, const ColourEnvironment& environment, bool terminal);

// May colour be written to this descriptor?
[[nodiscard]] bool use_colour(int fd);

// --color auto|always|never.
void add_colour_option(CLI::App& command);

// `word` as it is shown: verdicts ("FAILED", "blocked", "PROBLEM", "ok", …) have a colour, other words none.
[[nodiscard]] std::string paint(std::string_view word, bool colour);
// The same for the first word of each line.
[[nodiscard]] std::string paint_lines(std::string_view text, bool colour);

}  // namespace soleroute::gateway::commands
