// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soleroute::gateway::commands {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(DescribeReload, SaysWhatIsInForce) {
  const auto report = describe_reload(R"({"accepted":true,"version":3,"detail":"a.yaml: 2 hosts"})");
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->accepted);
  EXPECT_EQ(report->text, "reloaded a.yaml: 2 hosts, revision 3");
}

TEST(DescribeReload, NamesTheWorkersThatHaveNotTakenThePolicy) {
  const auto report = describe_reload(R"({"accepted":true,"version":3,"detail":"2 host entries","behind":[1,4]})");
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->accepted);
  EXPECT_FALSE(report->everywhere);
  EXPECT_NE(report->text.find("not active yet on worker 1, 4"), std::string::npos) << report->text;
}

TEST(DescribeReload, WarnsOfAFileThatMayNotBeTheOneOutside) {
  const auto unchanged = describe_reload(R"({"accepted":true,"version":3,"detail":"1 host","warning":"a.yaml is"})");
  ASSERT_TRUE(unchanged.has_value());
  EXPECT_TRUE(unchanged->everywhere);
  EXPECT_EQ(unchanged->text, "reloaded 1 host, revision 3\nwarning: a.yaml is");
  const auto replaced =
      describe_reload(R"({"accepted":true,"version":3,"detail":"1 host","warning":"a.yaml was","replaced":true})");
  ASSERT_TRUE(replaced.has_value());
  EXPECT_FALSE(replaced->everywhere) << "it is not the policy that was meant";
  EXPECT_EQ(replaced->text, "reloaded 1 host, revision 3\nwarning: a.yaml was");
}

TEST(DescribeReload, ShowsWhatIsWrongLineByLineAndWhatHoldsMeanwhile) {
  const auto report =
      describe_reload(R"({"accepted":false,"detail":"a.yaml:1:1: unknown key 'domans'\n  domans: []\n  ^"})");
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->accepted);
  EXPECT_EQ(report->text,
            "a.yaml:1:1: unknown key 'domans'\n  domans: []\n  ^\nnot reloaded; the previous policy is still active");
}

TEST(DescribeReload, WhatIsNotThePolicysFaultIsAnErrorOfTheSystem) {
  const auto report = describe_reload(R"({"accepted":false,"system":true,"detail":"cannot install nftables rules"})");
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().kind, base::ErrorKind::kSystem);
  EXPECT_THAT(report.error().message, HasSubstr("the previous policy is still active"));
}

TEST(DescribeReload, ARefusalToAnswerIsAnErrorThatTellsIt) {
  const auto report = describe_reload("{\"error\":\"only root\\u001b[2J may ask\"}");
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().kind, base::ErrorKind::kSystem);
  EXPECT_THAT(report.error().message, HasSubstr("only root"));
  EXPECT_THAT(report.error().message, Not(HasSubstr("\x1b"))) << "it reaches a terminal";
}

TEST(DescribeReload, AnythingElseIsAnError) {
  for (const char* answer : {"", "[]", "{}", "not json", R"({"accepted":"yes","detail":"x"})", R"({"accepted":true})",
                             R"({"accepted":true,"detail":7})"}) {
    EXPECT_FALSE(describe_reload(answer).has_value()) << answer;
  }
}

}  // namespace
}  // namespace soleroute::gateway::commands
