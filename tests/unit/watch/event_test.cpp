// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/event.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/watch/records.h"

namespace soleroute::gateway::watch {
namespace {

TEST(Events, AreRecordsOfALogAndLinesOfAStream) {
  const auto record = parse_event(test::record("blocked", "a.test", "host_not_allowed", R"(,"agent":"reviewer")"));
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->kind, EventKind::kRecord);
  EXPECT_EQ(record->line.decision.host, "a.test");
  EXPECT_EQ(record->agent, "reviewer");
  const auto streamed = parse_event(R"({"decision":)" + test::record("blocked", "a.test", "host_not_allowed") + "}");
  ASSERT_TRUE(streamed.has_value());
  EXPECT_EQ(streamed->line.decision.host, "a.test");
  const Event held = test::held(7, "a.test", 58);
  EXPECT_EQ(held.kind, EventKind::kHeld);
  EXPECT_EQ(held.id, 7U);
  EXPECT_EQ(held.left_s, 58);
  EXPECT_EQ(held.line.decision.host, "a.test");
  EXPECT_EQ(test::settled(7, "once").verdict, "once");
  const auto lost = parse_event(R"({"lost":12})");
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->lost, 12U);
}

TEST(Events, AreNothingOfOtherText) {
  for (const char* line :
       {"", "text", "{}", "[1]", R"({"held":{"id":1}})", R"({"held":{"id":1,"decision":{}}})", R"({"decision":{}})",
        R"({"held":{"id":1,"decision":{"type":"lifecycle","event":"healthy"}}})"}) {
    EXPECT_FALSE(parse_event(line).has_value()) << line;
  }
}

TEST(Events, NameTheCommandThatAllowsWhatWaits) {
  const std::string text = event_text(test::held(7, "a.test", 58), false);
  EXPECT_NE(text.find("waits for an answer, 58 s left; to allow it: gateway allow a.test"), std::string::npos) << text;
}

}  // namespace
}  // namespace soleroute::gateway::watch
