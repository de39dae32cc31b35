// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soleroute::gateway::commands {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kHealthy =
    R"({"health":"healthy","version":"0.1.0","uptime_s":3725,"topology":"router",)"
    R"("policy":{"files":["a.yaml","b.yaml"],"hosts":12,"stale":false},)"
    R"("rules":{"intended":"open","differences":[]},"counters":{"connections_open":3,"decisions_denied":7}})";

TEST(DescribeStatus, SaysWhatTheGatewaySaid) {
  const auto report = describe_status(kHealthy);
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->healthy);
  EXPECT_THAT(report->text, HasSubstr("health       healthy\n"));
  EXPECT_THAT(report->text, HasSubstr("running for  1 h 2 min\n"));
  EXPECT_THAT(report->text, HasSubstr("policy       a.yaml, b.yaml, 12 hosts\n"));
  EXPECT_THAT(report->text, HasSubstr("rules        open, unchanged in the kernel\n"));
  EXPECT_THAT(report->text, HasSubstr("connections  3 open\n"));
  EXPECT_THAT(report->text, HasSubstr("decisions_denied"));
}

TEST(DescribeStatus, IsNotHealthyWhenAnythingIsAmiss) {
  struct Row {
    const char* from;
    const char* to;
    const char* shown;
  };
  const Row rows[] = {
      {R"("healthy")", R"("starting")", "health       starting"},
      {R"("stale":false)", R"("stale":true)", "the last reload failed"},
      {R"("stale":false)", R"("stale":false,"behind":[2])", "not active yet on worker 2\n"},
      {R"("healthy")", R"("degraded","workers":{"count":2,"stalled":[1]})", "workers      2; not responding: 1\n"},
      {R"("differences":[])", R"("differences":["- drop"])", "modified in the kernel:\n             - drop\n"},
  };
  for (const Row& row : rows) {
    std::string answer = kHealthy;
    answer.replace(answer.find(row.from), std::string_view(row.from).size(), row.to);
    const auto report = describe_status(answer);
    ASSERT_TRUE(report.has_value()) << row.to;
    EXPECT_FALSE(report->healthy) << row.to;
    EXPECT_THAT(report->text, HasSubstr(row.shown));
  }
}

TEST(DescribeStatus, SaysWhenTheLogCannotBeWritten) {
  std::string answer = kHealthy;
  answer.insert(1, R"("log":{"written":false,"detail":"No space left on device"},)");
  const auto report = describe_status(answer);
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->healthy) << "decisions go on";
  EXPECT_THAT(report->text, HasSubstr("log          cannot write: No space left on device\n"));
}

TEST(DescribeStatus, RefusesWhatIsNotAStatus) {
  for (const char* answer : {"", "x", "[]", "{}", "{\"error\":\"unknown\"}", "{\"health\":", "\xff\xfe"}) {
    EXPECT_FALSE(describe_status(answer).has_value()) << answer;
  }
}

TEST(DescribeStatus, TakesWrongTypesForAbsent) {
  const auto report = describe_status(
      R"({"health":"healthy","uptime_s":"long","topology":7,"policy":{"files":5,"stale":"no"},"rules":[],"counters":{"x":"y"}})");
  ASSERT_TRUE(report.has_value());
  EXPECT_THAT(report->text, HasSubstr("running for  0 s"));
}

TEST(DescribeStatus, DrivesNoTerminal) {
  const auto report = describe_status(R"({"health":"\u001b[2Jhealthy","policy":{"files":["a\u001b]0;x\u0007"]}})");
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->healthy);
  EXPECT_THAT(report->text, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace soleroute::gateway::commands
