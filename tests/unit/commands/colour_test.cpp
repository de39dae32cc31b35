// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/colour.h"

#include <gtest/gtest.h>

namespace soleroute::gateway::commands {
namespace {

TEST(Colour, IsForTerminalsUnlessToldOtherwise) {
  using enum ColourChoice;
  struct Row {
    const char* why;
    ColourChoice choice;
    ColourEnvironment environment;
    bool terminal;
    bool colour;
  };
  const Row rows[] = {
      {"a terminal", kAuto, {}, true, true},
      {"a pipe", kAuto, {}, false, false},
      {"NO_COLOR", kAuto, {.no_color = "1"}, true, false},
      {"NO_COLOR, any value counts", kAuto, {.no_color = "0"}, true, false},
      {"NO_COLOR before FORCE_COLOR", kAuto, {.no_color = "1", .force_color = "1"}, true, false},
      {"FORCE_COLOR", kAuto, {.force_color = "1"}, false, true},
      {"FORCE_COLOR before TERM", kAuto, {.force_color = "3", .term = "dumb"}, true, true},
      {"FORCE_COLOR=0", kAuto, {.force_color = "0"}, true, false},
      {"CLICOLOR_FORCE", kAuto, {.clicolor_force = "1"}, false, true},
      {"CLICOLOR_FORCE=0", kAuto, {.clicolor_force = "0"}, false, false},
      {"CLICOLOR=0", kAuto, {.clicolor = "0"}, true, false},
      {"TERM=dumb", kAuto, {.term = "dumb"}, true, false},
      {"another TERM", kAuto, {.term = "xterm"}, true, true},
      {"--color always in a pipe", kAlways, {.term = "dumb"}, false, true},
      {"--color always before NO_COLOR", kAlways, {.no_color = "1"}, false, true},
      {"--color never on a terminal", kNever, {}, true, false},
      {"--color never before FORCE_COLOR", kNever, {.force_color = "1"}, true, false},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(is_colour_wanted(row.choice, row.environment, row.terminal), row.colour) << row.why;
  }
}

TEST(Colour, IsForVerdictsAtTheBeginningOfALine) {
  EXPECT_EQ(paint("FAILED", true), "\x1b[1;31mFAILED\x1b[0m");
  EXPECT_EQ(paint("FAILED", false), "FAILED");
  EXPECT_EQ(paint("failed", true), "failed");
  EXPECT_EQ(paint_lines("blocked: a\nallowed  b blocked\n\n  blocked\nend", true),
            "\x1b[1;31mblocked\x1b[0m: a\n\x1b[32mallowed\x1b[0m  b blocked\n\n  blocked\nend");
  EXPECT_EQ(paint_lines("blocked: a\n", false), "blocked: a\n");
  EXPECT_EQ(paint_lines("", true), "");
}

}  // namespace
}  // namespace soleroute::gateway::commands
