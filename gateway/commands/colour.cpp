// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/colour.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>

namespace soleroute::gateway::commands {
namespace {

constexpr std::string_view kBadColour = "\x1b[1;31m";
constexpr std::string_view kMildColour = "\x1b[33m";
constexpr std::string_view kGoodColour = "\x1b[32m";
constexpr std::string_view kEndColour = "\x1b[0m";

struct Painted {
  std::string_view word;
  std::string_view colour;
};
constexpr std::array kPainted{
    Painted{"FAILED", kBadColour},   Painted{"PROBLEM", kBadColour},   Painted{"blocked", kBadColour},
    Painted{"denied", kBadColour},   Painted{"deny", kBadColour},      Painted{"error", kBadColour},
    Painted{"degraded", kBadColour}, Painted{"stopping", kMildColour}, Painted{"starting", kMildColour},
    Painted{"note", kMildColour},    Painted{"warning", kMildColour},  Painted{"ok", kGoodColour},
    Painted{"allowed", kGoodColour}, Painted{"allow", kGoodColour},    Painted{"healthy", kGoodColour},
};

ColourChoice colour_choice = ColourChoice::kAuto;

std::string_view colour_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

bool is_on(std::string_view value) {
  return !value.empty() && value != "0";
}

}  // namespace

bool is_colour_wanted(ColourChoice choice, const ColourEnvironment& environment, bool terminal) {
  if (choice != ColourChoice::kAuto) return choice == ColourChoice::kAlways;
  if (!environment.no_color.empty()) return false;
  if (is_on(environment.force_color) || is_on(environment.clicolor_force)) return true;
  return terminal && environment.term != "dumb" && environment.clicolor != "0" && environment.force_color != "0";
}

bool use_colour(int fd) {
  const ColourEnvironment environment{.no_color = colour_variable("NO_COLOR"),
                                      .force_color = colour_variable("FORCE_COLOR"),
                                      .clicolor_force = colour_variable("CLICOLOR_FORCE"),
                                      .clicolor = colour_variable("CLICOLOR"),
                                      .term = colour_variable("TERM")};
  return is_colour_wanted(colour_choice, environment, ::isatty(fd) == 1);
}

void add_colour_option(CLI::App& command) {
  const auto choose = [](const std::string& text) {
    colour_choice = text == "always"  ? ColourChoice::kAlways
                    : text == "never" ? ColourChoice::kNever
                                      : ColourChoice::kAuto;
  };
  command.add_option_function<std::string>("--color", choose, "colored output (default: on a terminal)")
      ->type_name("auto|always|never")
      ->check(CLI::IsMember({"auto", "always", "never"}).description(""));
}

std::string paint(std::string_view word, bool colour) {
  const auto found = std::ranges::find(kPainted, word, &Painted::word);
  if (!colour || found == kPainted.end()) return std::string(word);
  return fmt::format("{}{}{}", found->colour, word, kEndColour);
}

std::string paint_lines(std::string_view text, bool colour) {
  if (!colour) return std::string(text);
  std::string all;
  while (!text.empty()) {
    const auto line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
    const auto word = line.substr(0, std::min(line.find_first_of(" :\n"), line.size()));
    all += paint(word, colour);
    all += line.substr(word.size());
    text.remove_prefix(line.size());
  }
  return all;
}

}  // namespace soleroute::gateway::commands
