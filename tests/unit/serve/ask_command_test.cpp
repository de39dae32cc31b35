// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/ask_command.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/await.h"
#include "tests/support/recording_log.h"

namespace soleroute::gateway::serve {
namespace {

TEST(CommandAnswer, IsOneOfFourWordsAndNothingElse) {
  EXPECT_EQ(parse_command_answer("once\n")->verdict, "once");
  EXPECT_EQ(parse_command_answer("always\nmore")->verdict, "always");
  EXPECT_EQ(parse_command_answer("no \r\n")->verdict, "no");
  EXPECT_EQ(parse_command_answer("for 15m\n")->lasts, std::chrono::seconds(900));
  for (const char* printed :
       {"", "\n", "yes\n", "ONCE\n", " once\n", "for\n", "for ever\n", "for 0s\n", "no, never\n"}) {
    EXPECT_FALSE(parse_command_answer(printed).has_value()) << printed;
  }
}

struct Fixture {
  explicit Fixture(const std::string& command)
      : asked(io, log, command, [this](std::uint64_t id, const CommandAnswer& answer) {
          answers.push_back(std::to_string(id) + " " + answer.verdict);
        }) {
    ::signal(SIGPIPE, SIG_IGN);  // as the gateway does: a program may end before it has read its question
  }

  void ask(std::uint64_t id, std::chrono::milliseconds patience = std::chrono::minutes(1)) {
    flow::HeldRequests::Request request;
    request.id = id;
    request.item = "a\"b$(x).test";
    request.until = flow::HeldRequests::Clock::now() + patience;
    asked.ask(std::move(request));
  }

  boost::asio::io_context io;
  testing::RecordingLog log;
  std::vector<std::string> answers;
  AskCommand asked;
};

TEST(AskCommand, GetsTheQuestionAsOneLineAndItsAnswerIsPassedOn) {
  Fixture f(
      R"(read -r line; case $line in '{"id":3,"item":"a\"b$(x).test","decision":{'*) echo once;; *) echo no;; esac)");
  f.ask(3);
  testing::run_until(f.io, [&] { return !f.answers.empty(); });
  EXPECT_EQ(f.answers, std::vector<std::string>{"3 once"});
}

TEST(AskCommand, RunsAFewAtOnceAndAllInTheirTurn) {
  Fixture f("echo no");
  for (std::uint64_t id = 1; id <= 2 * AskCommand::kAtOnce; ++id) f.ask(id);
  testing::run_until(f.io, [&] { return f.answers.size() == 2 * AskCommand::kAtOnce; });
}

TEST(AskCommand, IsEndedWhenTheTimeIsOver) {
  Fixture f(R"(read -r line; case $line in *'"id":9,'*) echo no;; *) sleep 1000;; esac)");
  for (std::uint64_t id = 1; id <= AskCommand::kAtOnce; ++id) f.ask(id, std::chrono::milliseconds(300));
  f.ask(9);  // its turn comes once one of them has been ended
  testing::run_until(f.io, [&] { return !f.answers.empty(); });
  EXPECT_EQ(f.answers, std::vector<std::string>{"9 no"});
}

TEST(AskCommand, SaysWhatIsNoAnswer) {
  Fixture f("echo maybe");
  f.ask(1);
  testing::run_until(f.io, [&] { return !f.log.errors().empty(); });
  EXPECT_TRUE(f.answers.empty());
}

}  // namespace
}  // namespace soleroute::gateway::serve
