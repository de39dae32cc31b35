// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/session.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "tests/unit/watch/records.h"

namespace soleroute::gateway::watch {
namespace {

using namespace std::chrono_literals;

struct Screen {
  explicit Screen(Session::Source source = Session::Source::kGateway)
      : session(source, "control.sock", *policy::Policy::compile(std::array<policy::PolicySource, 1>{})) {}

  void add(Event event) { session.add(std::move(event), now); }
  std::string press(char key) { return session.on_key({.character = key}, now).question; }
  std::string press(Key::Kind kind) { return session.on_key({.kind = kind}, now).question; }
  void look() { now += Session::kSettling; }

  Session session;
  Session::Clock::time_point now{std::chrono::hours(1)};
};

TEST(WatchSession, AllowsTheSelectedDenialWithOneKey) {
  Screen screen;
  screen.add(test::denied("api.test"));
  screen.look();
  EXPECT_EQ(screen.press('a'), R"({"ask":"allow","for_s":900,"host":"api.test"})");
  EXPECT_EQ(screen.press('u'), R"({"ask":"forget","host":"api.test"})");
  EXPECT_EQ(screen.press('u'), "") << "once";
  EXPECT_EQ(screen.press('A'), R"({"ask":"allow","host":"api.test","save":true})");
}

TEST(WatchSession, AllowsForTheAgentThatAsked) {
  Screen screen;
  screen.add(test::denied("api.test", R"(,"agent":"reviewer")"));
  screen.look();
  EXPECT_EQ(screen.press('a'), R"({"agent":"reviewer","ask":"allow","for_s":900,"host":"api.test"})");
}

TEST(WatchSession, AnswersARequestThatWaits) {
  Screen screen;
  screen.add(test::held(7, "api.test"));
  screen.look();
  EXPECT_EQ(screen.press('o'), R"({"ask":"answer","id":7,"verdict":"once"})");
  EXPECT_EQ(screen.press('a'), R"({"ask":"answer","for_s":900,"id":7,"verdict":"for"})");
  EXPECT_EQ(screen.press('A'), R"({"ask":"answer","id":7,"verdict":"always"})");
  EXPECT_EQ(screen.press('n'), R"({"ask":"answer","id":7,"verdict":"no"})");
}

TEST(WatchSession, OpensNoServiceWhoseNameAClientSendsAsItsHost) {
  Screen screen;
  screen.add(test::held(7, "npm"));
  screen.look();
  EXPECT_EQ(screen.press('a'), "");
  EXPECT_EQ(screen.press('A'), "");
  EXPECT_NE(screen.session.message().find("gateway allow https://npm/"), std::string::npos);
  EXPECT_NE(screen.press('o'), "") << "the control: this one request";
}

// An agent that times its requests must not get another host allowed than the one that a person read.
TEST(WatchSession, RefusesAKeyThatWasMeantForAnotherRow) {
  Screen screen;
  screen.add(test::denied("api.test"));
  screen.look();
  screen.add(test::denied("evil.test"));
  EXPECT_EQ(screen.press('a'), "");
  EXPECT_NE(screen.session.message().find("has just changed"), std::string::npos);
  screen.add(test::held(1, "evil.test"));
  screen.look();
  screen.add(test::settled(1, "timeout"));
  screen.add(test::held(2, "evil.test"));
  EXPECT_EQ(screen.press('a'), "") << "the same host, but another request";
  screen.look();
  EXPECT_NE(screen.press('a'), "") << "the control: after a look";
}

TEST(WatchSession, TakesAKeyWhileTheSameHostIsDeniedAgainAndAgain) {
  Screen screen;
  screen.add(test::denied("api.test"));
  screen.look();
  screen.add(test::denied("api.test"));
  EXPECT_NE(screen.press('a'), "");
}

TEST(WatchSession, KeepsAChosenRowWhateverArrives) {
  Screen screen;
  screen.add(test::denied("first.test"));
  screen.add(test::denied("api.test"));
  screen.press(Key::Kind::kUp);
  for (int i = 0; i < 100; ++i) screen.add(test::denied("evil.test"));
  EXPECT_EQ(screen.press('a'), R"({"ask":"allow","for_s":900,"host":"first.test"})");
}

TEST(WatchSession, AllowsALongNameOnlyWhereAllOfItIsRead) {
  Screen screen;
  const std::string name = std::string(60, 'a') + "." + std::string(60, 'b') + ".evil.test";
  screen.add(test::denied(name));
  screen.look();
  EXPECT_EQ(screen.press('a'), "");
  EXPECT_EQ(screen.session.view(), Session::View::kDetails);
  EXPECT_NE(screen.press('a').find(name), std::string::npos);
  Screen other;
  other.add(test::held(1, name));
  other.look();
  EXPECT_EQ(other.press('A'), "") << "one that waits";
  EXPECT_NE(other.press('A'), "");
}

TEST(WatchSession, AsksNothingOfALogAndNothingAfterTheEnd) {
  Screen log(Session::Source::kLog);
  log.add(test::denied("api.test"));
  log.look();
  EXPECT_EQ(log.press('a'), "");
  EXPECT_NE(log.session.message(), "");
  Screen screen;
  screen.add(test::held(1, "api.test"));
  screen.session.set_ended("the gateway has ended");
  screen.look();
  EXPECT_EQ(screen.press('a'), "");
  EXPECT_EQ(screen.session.board().waiting(), 0U);
}

TEST(WatchSession, TypesAFilterAndLeavesItsLettersAlone) {
  Screen screen;
  screen.add(test::denied("api.test"));
  screen.look();
  EXPECT_EQ(screen.press('/'), "");
  for (const char key : std::string("aq")) EXPECT_EQ(screen.press(key), "");
  screen.press(Key::Kind::kBackspace);
  EXPECT_EQ(screen.session.board().filter(), "a");
  screen.press(Key::Kind::kEnter);
  EXPECT_EQ(screen.session.view(), Session::View::kRows);
  EXPECT_TRUE(screen.session.on_key({.character = 'q'}, screen.now).quit);
}

TEST(WatchSession, SaysWhatTheGatewayAnswered) {
  Screen screen;
  screen.session.answered(std::string(R"({"accepted":true,"detail":"api.test is allowed for 15 min"})"));
  EXPECT_EQ(screen.session.message(), "api.test is allowed for 15 min");
  screen.session.answered(std::string(R"({"accepted":false,"detail":"too wide"})"));
  EXPECT_EQ(screen.session.message(), "Not allowed: too wide");
  screen.session.answered(std::string(R"({"accepted":true,"detail":"d","warning":"not saved"})"));
  EXPECT_EQ(screen.session.message(), "d - warning: not saved");
  screen.session.answered(std::string("text"));
  EXPECT_NE(screen.session.message(), "");
}

}  // namespace
}  // namespace soleroute::gateway::watch
