// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/run_time_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/await.h"
#include "tests/support/recording_log.h"

namespace soleroute::gateway::serve {
namespace {

using ::testing::HasSubstr;

bool allows(const policy::Policy& policy, const std::string& host) {
  policy::FlowFacts facts;
  facts.host = base::HostName::parse(host).value();
  return policy.decide(facts).allowed();
}

class RunTimePolicyTest : public ::testing::Test {
 protected:
  RunTimePolicyTest() { files("domains: [listed.test]\n"); }

  void files(const std::string& text) {
    auto laid = policy_.lay_over({{"(base)", "services: [npm]\n"}, {"policy.yaml", text}}, {"policy.yaml"});
    ASSERT_TRUE(laid.has_value()) << laid.error().message;
    in_force_ = laid->policy;
    policy_.use(std::move(*laid));
  }

  std::string ask(const std::string& line) {
    const auto question = parse_control_question(line);
    if (!question) return question.error().message;
    std::string answer;
    policy_.answer(*question, [&answer](std::string text) { answer = std::move(text); });
    return answer;
  }

  boost::asio::io_context io_;
  testing::RecordingLog log_;
  std::shared_ptr<const policy::Policy> in_force_;
  bool refuses_ = false;
  std::uint64_t version_ = 1;
  RunTimePolicy policy_{io_, log_,
                        [this](std::shared_ptr<const policy::Policy> fresh, RunTimePolicy::Taken taken) {
                          if (refuses_) return base::Status(base::system_error("the kernel refuses"));
                          in_force_ = std::move(fresh);
                          if (taken) taken(PolicyInForce{++version_, "policy.yaml: 1 host"});
                          return base::Status();
                        },
                        [this](const std::string& path, std::string_view old_text, std::string_view text) {
                          if (read_only_) return base::Status(base::usage_error(path + ": Read-only file system"));
                          EXPECT_EQ(old_text, written_.empty() ? "domains: [listed.test]\n" : written_);
                          written_ = text;
                          return base::Status();
                        }};
  bool read_only_ = false;
  std::string written_;
};

TEST_F(RunTimePolicyTest, AllowsAHostUntilItIsForgotten) {
  EXPECT_FALSE(allows(*in_force_, "new.test"));
  EXPECT_EQ(ask(R"({"ask":"allow","host":"new.test"})"),
            R"({"accepted":true,"detail":"new.test is allowed until the gateway stops","version":2})");
  EXPECT_TRUE(allows(*in_force_, "new.test"));
  EXPECT_TRUE(allows(*in_force_, "listed.test"));
  EXPECT_FALSE(allows(*in_force_, "other.test"));
  EXPECT_EQ(ask(R"({"ask":"allowed"})"), R"({"entries":[{"action":"allow","host":"new.test"}]})");
  EXPECT_THAT(ask(R"({"ask":"forget","host":"New.test."})"), HasSubstr("\"accepted\":true"));
  EXPECT_FALSE(allows(*in_force_, "new.test"));
  EXPECT_EQ(ask(R"({"ask":"allowed"})"), R"({"entries":[]})");
  EXPECT_THAT(ask(R"({"ask":"forget","host":"new.test"})"), HasSubstr("no such entry: new.test"));
}

TEST_F(RunTimePolicyTest, RemovesAnEntryWhenItsTimeIsOver) {
  EXPECT_THAT(ask(R"({"ask":"allow","host":"short.test","for_s":1})"), HasSubstr("short.test is allowed for 1 s"));
  EXPECT_THAT(ask(R"({"ask":"allow","host":"long.test","for_s":900})"), HasSubstr("long.test is allowed for 15 min"));
  EXPECT_THAT(ask(R"({"ask":"allowed"})"), HasSubstr(R"("host":"long.test","left_s":900)"));
  testing::run_until(io_, [&] { return !allows(*in_force_, "short.test"); });
  EXPECT_TRUE(allows(*in_force_, "long.test"));
  EXPECT_THAT(ask(R"({"ask":"allowed"})"), ::testing::Not(HasSubstr("short.test")));
}

TEST_F(RunTimePolicyTest, KeepsAnEntryThatCannotBeRemovedAndTriesAgain) {
  EXPECT_THAT(ask(R"({"ask":"allow","host":"short.test","for_s":1})"), HasSubstr("true"));
  refuses_ = true;
  testing::run_until(io_, [&] { return !log_.errors().empty(); });
  EXPECT_THAT(log_.errors().front(), HasSubstr("cannot be removed yet: the kernel refuses"));
  refuses_ = false;
  testing::run_until(io_, [&] { return !allows(*in_force_, "short.test"); });
}

TEST_F(RunTimePolicyTest, WritesAnEntryToThePolicyFileAndKeepsNoOther) {
  EXPECT_THAT(ask(R"({"ask":"allow","host":"new.test","for_s":60})"), HasSubstr("true"));
  EXPECT_EQ(
      ask(R"({"ask":"allow","host":"new.test","save":true})"),
      R"({"accepted":true,"detail":"new.test is allowed and saved to policy.yaml","saved":"policy.yaml","version":3})");
  EXPECT_EQ(written_, "domains: [listed.test, new.test]\n");
  EXPECT_TRUE(allows(*in_force_, "new.test"));
  EXPECT_EQ(ask(R"({"ask":"allowed"})"), R"({"entries":[]})") << "the file has it";
  EXPECT_THAT(ask(R"({"ask":"allow","host":"other.test","save":true})"), HasSubstr("saved"));
  EXPECT_EQ(written_, "domains: [listed.test, new.test, other.test]\n");
  EXPECT_THAT(ask(R"({"ask":"allow","host":"x.test","save":true,"for_s":60})"), HasSubstr("contradict"));
}

TEST_F(RunTimePolicyTest, AllowsWhatItCannotSaveAndSaysWhyItIsNotSaved) {
  read_only_ = true;
  const std::string answer = ask(R"({"ask":"allow","host":"new.test","save":true})");
  EXPECT_THAT(answer, HasSubstr("new.test is allowed until the gateway stops"));
  EXPECT_THAT(answer, HasSubstr("not saved: policy.yaml: Read-only file system"));
  EXPECT_TRUE(allows(*in_force_, "new.test"));
  EXPECT_THAT(ask(R"({"ask":"allowed"})"), HasSubstr("new.test"));
}

TEST_F(RunTimePolicyTest, StaysOverFilesThatAreReadAgain) {
  EXPECT_THAT(ask(R"({"ask":"allow","host":"new.test"})"), HasSubstr("true"));
  files("domains: [edited.test]\n");
  EXPECT_TRUE(allows(*in_force_, "edited.test"));
  EXPECT_TRUE(allows(*in_force_, "new.test"));
  EXPECT_FALSE(allows(*in_force_, "listed.test"));
}

TEST_F(RunTimePolicyTest, RefusesWhatIsNoEntryAndChangesNothing) {
  const struct {
    const char* question;
    const char* why;
  } rows[] = {
      {R"({"ask":"allow","host":"bad_host.test/"})", "expected a host"},
      {R"({"ask":"allow","host":""})", "is empty"},
      {R"({"ask":"allow"})", "is empty"},
      {R"({"ask":"allow","host":"*.com"})", "*.com"},
      {R"({"ask":"allow","host":"a.test\ndomains: [evil.test]"})", "a.test"},
      {R"({"ask":"allow","host":"a.test","agent":"x\", domains: [\"y.test"})", "is not the name of an agent"},
      {R"({"ask":"allow","host":"a.test","for_s":0})", "from 1 to 2592000"},
      {R"({"ask":"allow","host":"a.test","for_s":-5})", "from 1 to 2592000"},
      {R"({"ask":"allow","host":"a.test","for_s":2592001})", "from 1 to 2592000"},
      {R"({"ask":"allow","host":"a.test","for_s":"900"})", "from 1 to 2592000"},
      {R"({"ask":"allow","host":["a.test"]})", "'host' must be a string"},
      {R"({"ask":"deny","host":"github"})", "deny takes hosts"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(ask(row.question), HasSubstr(row.why)) << row.question;
    EXPECT_THAT(ask(row.question), ::testing::Not(HasSubstr("\"accepted\":true"))) << row.question;
  }
  EXPECT_EQ(ask(R"({"ask":"allowed"})"), R"({"entries":[]})");
  EXPECT_FALSE(allows(*in_force_, "a.test"));
  refuses_ = true;
  EXPECT_EQ(ask(R"({"ask":"allow","host":"a.test"})"),
            R"({"accepted":false,"detail":"the kernel refuses","system":true})");
  EXPECT_EQ(ask(R"({"ask":"allowed"})"), R"({"entries":[]})");
}

TEST(RunTimeEntries, HaveABound) {
  RunTimeEntries entries;
  const auto add = [&entries](const std::string& host) {
    auto entry = parse_run_time_entry({.ask = "allow", .host = host}, RunTimeEntry::Clock::now());
    return entry ? entries.add(std::move(*entry)) : base::Status(std::unexpected(entry.error()));
  };
  for (std::size_t i = 0; i < RunTimeEntries::kMost; ++i) {
    ASSERT_TRUE(add("h" + std::to_string(i) + ".test").has_value());
  }
  const auto refused = add("more.test");
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("there are 256 such entries already"));
  EXPECT_TRUE(add("H0.test.").has_value()) << "in the place of another";
}

TEST(RunTimeEntries, AreOneLayerOfPolicy) {
  RunTimeEntries entries;
  const auto add = [&entries](const char* ask, const char* host, const char* agent) {
    auto entry = parse_run_time_entry({.ask = ask, .host = host, .agent = agent}, RunTimeEntry::Clock::now());
    ASSERT_TRUE(entry.has_value()) << entry.error().message;
    ASSERT_TRUE(entries.add(std::move(*entry)).has_value());
  };
  add("allow", "a.test", "");
  add("allow", "b.test", "reviewer");
  add("allow", "db.test:5432", "reviewer");
  add("deny", "c.test", "");
  add("allow", "*.a.test", "");
  EXPECT_EQ(entries.layer().text,
            "deny:\n  - c.test\ndomains:\n  - a.test\n  - \"*.a.test\"\n"
            "agents:\n  - name: \"reviewer\"\n    domains:\n      - b.test\n"
            "    endpoints:\n      - {host: db.test, port: 5432}\n");
  EXPECT_EQ(entries.drop_those_of_agents().size(), 2U);
  EXPECT_THAT(entries.layer().text, ::testing::Not(HasSubstr("agents")));
}

TEST(RunTimeEntries, SayTimesInTheLargestUnitThatFits) {
  EXPECT_EQ(duration_text(std::chrono::seconds(900)), "15 min");
  EXPECT_EQ(duration_text(std::chrono::seconds(90)), "90 s");
  EXPECT_EQ(duration_text(std::chrono::seconds(7200)), "2 h");
}

}  // namespace
}  // namespace soleroute::gateway::serve
