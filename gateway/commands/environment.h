// The environment variables of the options: GATEWAY_NAME, or SOLEROUTE_NAME, which wins where both are set.
// Single-threaded: read while the command line is parsed.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace soleroute::gateway::commands {

// The value of "GATEWAY_NAME" under either name; empty if it is unset or empty.
[[nodiscard]] std::string_view variable_value(std::string_view variable);
// The parts of a list: separated by line breaks if the text has one, else by commas.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text);

// The variable of an option under its GATEWAY_ name; empty if it has none.
[[nodiscard]] std::string variable_of(const CLI::Option& option);
// The variable is read when the option is declared; CLI11 does not read it again.
void set_list_variable(CLI::Option& option, std::string_view variable);

// CLI11 reads the variables of every command, whichever is given: leaves it those of `chosen`, under the name that is
// set.
void read_variables_of_only(CLI::App& program, const CLI::App& chosen);

// Does a variable that only serving has ask for it, where there is no command line?
[[nodiscard]] bool serving_variable_is_set();

// An error that begins with an option begins with the variable instead, where the option's value came from it.
//   "--log: 'x' is not one of …" -> "GATEWAY_LOG: 'x' is not one of …"
[[nodiscard]] std::string with_variable_name(const CLI::App& command, const std::vector<std::string>& arguments,
                                             std::string message);

// One warning for each variable of the environment that looks like a misspelt one of `program`.
[[nodiscard]] std::vector<std::string> misspelt_variables(const CLI::App& program);

}  // namespace soleroute::gateway::commands
