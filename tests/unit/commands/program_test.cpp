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
using ::testing::Not;

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

constexpr const char* kCommands[] = {"run",    "check",   "explain", "test",    "verify", "services", "status",
                                     "schema", "ca",      "guard",   "pause",   "doctor", "init",     "agents",
                                     "watch",  "suggest", "reload",  "version", "help",   "serve"};

TEST(Program, ShowsEveryCommandInItsHelp) {
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* command : kCommands) EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + command + " "));
  EXPECT_THAT(help.err, IsEmpty());
  const Outcome serve = run({"serve", "--help"});
  for (const char* option :
       {"--policy", "--topology", "--claim", "--resolver", "--control", "--metrics", "--dry-run"}) {
    EXPECT_THAT(serve.out, HasSubstr(option));
    EXPECT_THAT(help.out, Not(HasSubstr(std::string("\n      ") + option))) << "on the page of serve alone";
  }
}

TEST(Program, ShowsItsCommandsWhenNothingIsAsked) {
  const Outcome bare = run({});
  EXPECT_EQ(bare.exit_code, 0);
  EXPECT_THAT(bare.err, IsEmpty());
  EXPECT_EQ(bare.out, run({"help"}).out);
  for (const char* command : kCommands) EXPECT_THAT(bare.out, HasSubstr(command));
}

TEST(Program, NamesTheVariableWhoseValueIsWrong) {
  ASSERT_EQ(::setenv("GATEWAY_LOG", "loud", 1), 0);
  const Outcome variable = run({"serve", "--dry-run"});
  const Outcome option = run({"serve", "--dry-run", "--log", "shout"});
  ASSERT_EQ(::setenv("SOLEROUTE_LOG", "whisper", 1), 0);
  const Outcome other = run({"serve", "--dry-run"});
  ::unsetenv("SOLEROUTE_LOG");
  ::unsetenv("GATEWAY_LOG");
  EXPECT_THAT(variable.err, HasSubstr("gateway: GATEWAY_LOG: 'loud'"));
  EXPECT_THAT(option.err, HasSubstr("gateway: --log: 'shout'"));
  EXPECT_THAT(other.err, HasSubstr("gateway: SOLEROUTE_LOG: 'whisper'"));
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
  const Outcome help = run({"serve", "--help"});
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
      {{"--pol", "x"}, "unknown option '--pol', did you mean '--policy'?"},
      {{"run", "--xyzzy", "x"}, "unknown option '--xyzzy'\n"},
      {{"stats"}, "unknown command 'stats', did you mean 'status'?"},
      {{"xyzzy"}, "unknown command 'xyzzy'\n"},
      {{"--workers", "2", "status"}, "put options after the command: gateway status --workers 2\n"},
      {{"--policy", "p.yaml", "run", "--", "true"},
       "put options after the command: gateway run --policy p.yaml -- CMD\n"},
      {{"status", "--", "x"}, "only 'gateway run' accepts a command after '--'"},
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
  EXPECT_THAT(outcome.err, HasSubstr("no gateway is running here"));
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
