// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/help_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/ascii.h"
#include "base/utf8.h"
#include "gateway/commands/environment.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::size_t kColumn = 28;  // where descriptions begin
constexpr std::size_t kPipeWidth = 80;
constexpr std::size_t kNarrowest = 50;
constexpr std::size_t kWidest = 120;  // longer lines are hard to read

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() != 0;
}

// One entry of a list: the label, and its description in the second column.
std::string entry(const std::string& label, const std::string& description, std::size_t width) {
  std::string out = "  " + label;
  if (description.empty()) return out + "\n";
  if (base::utf8::columns(out) + 2 > kColumn) {
    out += "\n" + std::string(kColumn, ' ');
  } else {
    out.append(kColumn - base::utf8::columns(out), ' ');
  }
  return out + wrapped(description, kColumn, width - kColumn) + "\n";
}

std::vector<const CLI::Option*> shown_options(const CLI::App& app, bool positional) {
  return app.get_options([positional](const CLI::Option* option) {
    return option->get_group() != kUnshownGroup && option->get_positional() == positional;
  });
}

std::string options_section(const CLI::App& app, bool positional, std::size_t width) {
  std::string out;
  for (const CLI::Option* option : shown_options(app, positional)) {
    out += entry(label_of(*option), description_of(*option), width);
  }
  if (out.empty()) return out;
  return (positional ? "\nArguments:\n" : "\nOptions:\n") + out;
}

std::string environment_section(const CLI::App& app, std::size_t width) {
  std::string out;
  for (const CLI::Option* option : shown_options(app, false)) {
    const std::string variable = variable_of(*option);
    if (variable.empty()) continue;
    const bool list = is_repeatable(*option);
    out += entry(variable, fmt::format("--{}{}", option->get_lnames().front(), list ? ", separated by commas" : ""),
                 width);
  }
  if (out.empty()) return out;
  return "\nEnvironment (the prefix SOLEROUTE_ works too, and wins):\n" + out;
}

// Lines that begin with a blank are examples and stay as they are; the others are paragraphs.
std::string flowed(std::string_view text, std::size_t width) {
  std::string out;
  for (const std::string& line : split(text, '\n')) {
    out += (line.starts_with(' ') ? line : wrapped(line, 0, width)) + "\n";
  }
  return out;
}

std::vector<const CLI::App*> commands_of(const CLI::App& program, const std::string& group) {
  return program.get_subcommands([&group](const CLI::App* command) { return command->get_group() == group; });
}

std::vector<std::string> groups_of(const CLI::App& program) {
  std::vector<std::string> groups;
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string& group = command->get_group();
    if (!group.empty() && std::ranges::find(groups, group) == groups.end()) groups.push_back(group);
  }
  return groups;
}

std::string commands_section(const CLI::App& app, std::size_t width) {
  std::string out;
  for (const std::string& group : groups_of(app)) {
    out += fmt::format("\n{}:\n", group);
    for (const CLI::App* command : commands_of(app, group)) {
      std::string line = fmt::format("  {:<12}", command->get_name());
      out += line + wrapped(command->get_description(), line.size(), width - line.size()) + "\n";
    }
  }
  return out;
}

class HelpFormat : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode /*mode*/) const override {
    const std::size_t width = help_width();
    std::string out = fmt::format("Usage: {} {}\n\n", name, usage_of(*app));
    out += flowed(app->get_description(), width);
    out += options_section(*app, true, width) + commands_section(*app, width) + options_section(*app, false, width) +
           environment_section(*app, width);
    if (!app->get_footer().empty()) out += "\n" + flowed(app->get_footer(), width);
    return out + fmt::format("\n{}\n", wrapped(kExitStatusLine, 0, width));
  }
};

constexpr std::string_view kMoreHelp = "Help on one command: gateway help COMMAND. All commands: gateway --help";

// The commands that a new user needs first; the rest of their group is named behind them.
constexpr std::string_view kFirst[] = {"run",    "check",  "explain", "suggest", "serve",
                                       "status", "reload", "allow",   "doctor",  "verify"};

std::string overview_group(const CLI::App& program, const std::string& group, std::size_t width) {
  std::string out;
  std::vector<std::string> others;
  std::string title = group;
  for (const CLI::App* command : commands_of(program, group)) {
    if (std::ranges::find(kFirst, command->get_name()) == std::end(kFirst)) {
      others.push_back(command->get_name());
      continue;
    }
    const std::string line = fmt::format("{:<8} {:<8} ", std::exchange(title, ""), command->get_name());
    out += line + wrapped(command->get_description(), line.size(), width - line.size()) + "\n";
  }
  if (others.empty()) return out;
  const std::string line = fmt::format("{:<8} ", title);
  return out + line + wrapped(fmt::format("also: {}", fmt::join(others, ", ")), line.size(), width - line.size()) +
         "\n";
}

}  // namespace

std::size_t help_width() {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  std::size_t width = kPipeWidth;
  winsize size{};
  const char* columns = std::getenv("COLUMNS");
  if (columns != nullptr && std::atoi(columns) > 0) {
    width = static_cast<std::size_t>(std::atoi(columns));
  } else if (terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    width = size.ws_col;
  }
  return std::clamp(width, kNarrowest, terminal ? kWidest : kPipeWidth);
}

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string out;
  std::size_t used = 0;
  for (const std::string& word : split(text, ' ')) {
    if (word.empty()) continue;
    const std::size_t columns = base::utf8::columns(word);
    if (used > 0 && used + 1 + columns > width) {
      out += "\n" + std::string(indent, ' ');
      used = 0;
    }
    if (used > 0) out += ' ';
    out += word;
    used += columns + (used > 0 ? 1 : 0);
  }
  constexpr std::string_view kUnbreakable = "\u00a0";
  for (auto at = out.find(kUnbreakable); at != std::string::npos; at = out.find(kUnbreakable, at)) {
    out.replace(at, kUnbreakable.size(), " ");
  }
  return out;
}

std::string with_note(std::string text, std::string_view note) {
  const auto open = text.rfind('(');
  if (!text.ends_with(')') || open == std::string::npos) return fmt::format("{} ({})", text, note);
  if (!note.starts_with("default")) return text.insert(open + 1, fmt::format("{}; ", note));
  text.pop_back();
  return fmt::format("{}; {})", text, note);
}

std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  // "a|b", or "TEXT:{a,b}" as CLI11 puts it; in capitals it is a kind of value, as in "PORT|off".
  if (const auto open = type.find('{'), close = type.find('}'); open < close && close != std::string::npos) {
    return split(std::string_view(type).substr(open + 1, close - open - 1), ',');
  }
  const bool fixed = type.find('|') != std::string::npos && std::ranges::none_of(type, base::is_upper);
  return fixed ? split(type, '|') : std::vector<std::string>{};
}

std::string placeholder_of(const CLI::Option& option) {
  if (!takes_value(option)) return "";
  if (const auto choices = choices_of(option); !choices.empty()) return fmt::format("{}", fmt::join(choices, "|"));
  const std::string type = option.get_type_name();
  return type.substr(0, type.find(":INT in ["));  // CLI11 adds the bounds of a number
}

bool is_repeatable(const CLI::Option& option) {
  return option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll || option.get_items_expected_max() > 1;
}

std::string label_of(const CLI::Option& option) {
  const std::string placeholder = placeholder_of(option);
  if (option.get_positional()) {
    std::string label = option.get_name(true, false);
    std::ranges::transform(label, label.begin(),
                           [](char c) { return base::is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c; });
    if (choices_of(option).empty() && !placeholder.empty()) label = placeholder;
    return label + (is_repeatable(option) ? "..." : "");
  }
  std::vector<std::string> names;
  for (const auto& name : option.get_snames()) names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) names.push_back("--" + name);
  return fmt::format("{}{}{}{}", option.get_snames().empty() ? "    " : "", fmt::join(names, ", "),
                     placeholder.empty() ? "" : " ", placeholder);
}

std::string description_of(const CLI::Option& option) {
  std::string text = option.get_description();
  if (const auto choices = choices_of(option); option.get_positional() && !choices.empty()) {
    text += fmt::format(": {}", fmt::join(choices, ", "));
  }
  const std::string& value = option.get_default_str();
  const bool said = value.empty() || text.find("default:") != std::string::npos;
  return said ? text : with_note(std::move(text), "default: " + value);
}

std::string usage_of(const CLI::App& command) {
  if (command.get_parent() == nullptr) return "COMMAND [OPTIONS]";
  std::string out = "[OPTIONS]";
  for (const CLI::Option* option : shown_options(command, true)) {
    out += option->get_required() ? " " + label_of(*option) : fmt::format(" [{}]", label_of(*option));
  }
  return command.get_name() == "run" ? out + " [--] CMD [ARG...]" : out;
}

std::shared_ptr<CLI::FormatterBase> make_help_formatter() {
  return std::make_shared<HelpFormat>();
}

std::string overview(const CLI::App& program) {
  const std::size_t width = help_width();
  std::string out =
      fmt::format("Usage: gateway {}\n\n{}\n", usage_of(program), flowed(program.get_description(), width));
  for (const std::string& group : groups_of(program)) out += overview_group(program, group, width);
  return out + "\n" + flowed(program.get_footer(), width) + "\n" + wrapped(kMoreHelp, 0, width) + "\n";
}

}  // namespace soleroute::gateway::commands
