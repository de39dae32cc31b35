// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "gateway/commands/command.h"

namespace soleroute::gateway::commands {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

Outcome run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "gateway");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.exit_code = run_program(static_cast<int>(argv.size()), argv.data());
  outcome.out = ::testing::internal::GetCapturedStdout();
  outcome.err = ::testing::internal::GetCapturedStderr();
  return outcome;
}

constexpr const char* kCommands[] = {"run",   "check", "explain", "test", "verify", "services", "status",  "ca",
                                     "guard", "pause", "doctor",  "init", "agents", "watch",    "suggest", "reload"};

TEST(Program, ShowsEveryCommandInItsHelp) {
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* command : kCommands) EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + command + " "));
  for (const char* option :
       {"--policy", "--topology", "--claim", "--resolver", "--control", "--metrics", "--dry-run"}) {
    EXPECT_THAT(help.out, HasSubstr(option));
  }
  EXPECT_THAT(help.err, IsEmpty());
}

TEST(Program, ShowsAnExampleInTheHelpOfEveryCommand) {
  for (const char* command : kCommands) {
    const Outcome help = run({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_THAT(help.out, HasSubstr("Example"));
    EXPECT_THAT(help.out, HasSubstr(std::string("gateway ") + command));
  }
}

TEST(Program, NamesTheVariableOfEveryServingOption) {
  const Outcome help = run({"--help"});
  for (const char* variable : {"POLICY", "TOPOLOGY", "INSIDE", "CLAIM", "RESOLVER", "CONTROL", "METRICS",
                               "EXPLICIT_PROXY", "LISTEN", "NO_RULES", "WORKERS", "LOG", "CA_DIR", "CA_OUT", "TRUST"}) {
    EXPECT_THAT(help.out, HasSubstr(std::string("GATEWAY_") + variable));
  }
}

TEST(Program, SaysItsVersion) {
  const Outcome version = run({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, testing::MatchesRegex("gateway " SOLEROUTE_VERSION "( \\([A-Za-z0-9._/-]+\\))?\n"));
}

TEST(Program, RefusesWhatItDoesNotKnowWithTheLikelySpelling) {
  struct Row {
    std::vector<std::string> arguments;
    const char* message;
  };
  const Row rows[] = {
      {{"statu"}, "unknown command 'statu', did you mean 'status'?"},
      {{"--polcy", "x"}, "unknown option '--polcy', did you mean '--policy'?"},
      {{"--polcy=x"}, "unknown option '--polcy', did you mean '--policy'?"},
      {{"status", "--jsn"}, "unknown option '--jsn', did you mean '--json'?"},
      {{"status", "now"}, "unexpected argument 'now'"},
      {{"run"}, "missing command to run"},
      {{"run", "--"}, "missing command to run"},
      {{"run", "--summry", "curl"}, "unknown option '--summry', did you mean '--summary'?"},
      {{"--workers", "2", "status"}, "options of 'status' belong behind it"},
      {{"status", "--", "x"}, "only 'gateway run' takes a command behind '--'"},
      {{"--workers", "0"}, "--workers"},
      {{"--policy"}, "--policy"},
      {{"--dry-run=xml"}, "--dry-run=json"},
      {{"\x1b[2J"}, "unknown command '\\u{001b}[2J'"},
  };
  for (const Row& row : rows) {
    const Outcome outcome = run(row.arguments);
    EXPECT_EQ(outcome.exit_code, kExitUsage) << row.message;
    EXPECT_THAT(outcome.err, HasSubstr(row.message));
    EXPECT_THAT(outcome.out, IsEmpty()) << row.message;
  }
}

TEST(Program, TakesTheFirstArgumentThatIsNoOptionForTheCommandToRun) {
  const std::vector<std::string> commands[] = {
      {"curl"}, {"curl", "--bogus", "--policy"}, {"--", "-x"}, {"a", "--", "[b]"}};
  for (const auto& command : commands) {
    std::vector<std::string> arguments{"run", "--workers", "2", "--policy", "/nonexistent/p.yaml", "--log=quiet"};
    arguments.insert(arguments.end(), command.begin(), command.end());
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, kExitUsage) << command.front();
    EXPECT_THAT(outcome.err, HasSubstr("/nonexistent/p.yaml")) << command.front();
  }
}

TEST(Program, SaysWhatToDoWhereNoGatewayAnswers) {
  const Outcome outcome = run({"status", "--control", "/nonexistent/control.sock"});
  EXPECT_EQ(outcome.exit_code, kExitSystem);
  EXPECT_THAT(outcome.err, HasSubstr("/nonexistent/control.sock"));
  EXPECT_THAT(outcome.err, HasSubstr("Is a gateway running here?"));
}

TEST(Program, ReadsOptionsFromVariables) {
  ASSERT_EQ(::setenv("GATEWAY_CONTROL", "/nonexistent/from-variable.sock", 1), 0);
  const Outcome outcome = run({"status"});
  ::unsetenv("GATEWAY_CONTROL");
  EXPECT_THAT(outcome.err, HasSubstr("from-variable.sock"));
}

TEST(Program, ColoursNothingThatIsNotATerminal) {
  const Outcome outcome = run({"statu"});
  EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace soleroute::gateway::commands
