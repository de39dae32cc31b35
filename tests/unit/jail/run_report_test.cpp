// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/run_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/jail/denial_words.h"
#include "policy/decision.h"

namespace soleroute::gateway::jail {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

audit::DecisionRecord https(const std::string& host, const std::string& reason = "host_not_allowed") {
  audit::DecisionRecord record;
  record.phase = policy::Phase::kTls;
  record.host = host;
  record.scheme = "https";
  record.port = 443;
  record.reason = reason;
  return record;
}

audit::DecisionRecord packet(const std::string& host, std::uint16_t port, const std::string& detail) {
  audit::DecisionRecord record;
  record.phase = policy::Phase::kPacket;
  record.host = host;
  record.port = port;
  record.destination = "45.33.32.7" + (port == 0 ? std::string() : ":" + std::to_string(port));
  record.reason = "endpoint_not_allowed";
  record.detail = detail;
  return record;
}

audit::DecisionRecord unanswered(const std::string& host) {
  audit::DecisionRecord record;
  record.host = host;
  record.reason = "upstream_failed";
  record.detail = "dns type A, no upstream DNS server gave an answer";
  return record;
}

audit::DecisionRecord of_private_address(const std::string& host) {
  audit::DecisionRecord record;
  record.host = host;
  record.reason = "private_address";
  record.resolved = "10.1.2.3";
  return record;
}

audit::DecisionRecord passed(audit::DecisionRecord record, bool observed = false) {
  record.allowed = !observed;
  record.observed = observed;
  record.reason = observed ? record.reason : "host_allowed";
  return record;
}

std::shared_ptr<const policy::Policy> compiled(const std::string& text = "domains: [allowed.example]\n") {
  const std::array<policy::PolicySource, 1> sources{{{"policy.yaml", text}}};
  return policy::Policy::compile(sources).value();
}

RunEnd end_with(const std::vector<audit::DecisionRecord>& records, int status = 1) {
  SummaryLog log(audit::make_discarding_log());
  for (const auto& record : records) log.decision(record);
  RunEnd end;
  end.decisions = log.summary();
  end.status = status;
  end.name_servers = "192.0.2.250";
  return end;
}

std::string lines(const std::vector<audit::DecisionRecord>& records) {
  return end_lines(end_with(records), *compiled(), false);
}

struct Scene {
  const char* name;
  std::vector<audit::DecisionRecord> records;
};

std::vector<Scene> scenes() {
  std::vector<audit::DecisionRecord> many;
  for (int i = 0; i < 9; ++i) many.push_back(https("h" + std::to_string(i) + ".example"));
  return {
      {"one host", {https("denied.example"), https("denied.example")}},
      {"a host and a port", {https("denied.example"), packet("db.example", 5432, "tcp")}},
      {"ssh", {packet("git.example", 22, "tcp")}},
      {"an address", {packet("", 9999, "tcp")}},
      {"UDP and ping", {packet("voice.example", 5000, "udp"), packet("echo.example", 0, "icmp type 8")}},
      {"many hosts", many},
      {"a silent name server", {unanswered("allowed.example")}},
      {"a silent name server and a denied host",
       {unanswered("allowed.example"), https("denied.example"), https("d.example")}},
      {"a private address", {of_private_address("allowed.example")}},
      {"nothing denied", {passed(https("allowed.example"))}},
  };
}

std::string all_forms() {
  std::string out;
  for (const Scene& scene : scenes()) {
    const RunEnd end = end_with(scene.records);
    out += std::string("=== ") + scene.name + "\n--- when the command failed\n" + end_lines(end, *compiled(), false);
    out += "--- text\n" + formatted_summary(SummaryFormat::kText, end, *compiled(), false);
    out += "--- md\n" + formatted_summary(SummaryFormat::kMarkdown, end, *compiled(), false);
    out += "--- json\n" + formatted_summary(SummaryFormat::kJson, end, *compiled(), false);
  }
  return out;
}

TEST(RunReport, HasTheWordsThatWereReviewed) {
  const std::string path = std::string(SOLEROUTE_SOURCE_DIR) + "/tests/golden/run-summary.txt";
  const std::string shown = all_forms();
  if (std::getenv("SOLEROUTE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << shown;
  std::ifstream file(path);
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(shown, golden) << "write it anew with SOLEROUTE_UPDATE_GOLDEN=1";
}

TEST(RunReport, EndsWithFiveLinesAtMost) {
  for (const Scene& scene : scenes()) {
    const std::string text = lines(scene.records);
    EXPECT_LE(static_cast<std::size_t>(std::ranges::count(text, '\n')), kMostEndLines) << scene.name;
  }
  EXPECT_THAT(lines({https("denied.example")}), HasSubstr("denied.example")) << "the control";
}

TEST(RunReport, SaysNothingWhereNothingWasInTheWay) {
  EXPECT_THAT(lines({passed(https("allowed.example"))}), IsEmpty());
  EXPECT_THAT(lines({passed(https("seen.example"), true)}), IsEmpty()) << "mode observe let it pass";
}

TEST(RunReport, GivesTheHintOnlyWhereNothingElseExplainsAFailure) {
  RunEnd quiet = end_with({});
  quiet.hint = "docker uses /run/docker.sock";
  EXPECT_EQ(end_lines(quiet, *compiled(), false), "gateway: docker uses /run/docker.sock\n");
  RunEnd denied = end_with({https("denied.example")});
  denied.hint = quiet.hint;
  EXPECT_THAT(end_lines(denied, *compiled(), false), Not(HasSubstr("docker")));
}

TEST(RunReport, NamesThePolicyThatTheLinesBelongTo) {
  RunEnd end = end_with({https("denied.example")});
  end.policy_file = ".devcontainer/policy.yaml";
  end.policy_options = "--policy p.yaml ";
  const std::string text = end_lines(end, *compiled(), false);
  EXPECT_THAT(text, HasSubstr("add to .devcontainer/policy.yaml: domains: [denied.example]"));
  EXPECT_THAT(text, HasSubstr("gateway run --policy p.yaml --allow denied.example CMD"));
}

TEST(RunReport, HasWordsForEveryReason) {
  for (int i = 0; i <= static_cast<int>(policy::Reason::kDeniedByPolicy); ++i) {
    const auto reason = static_cast<policy::Reason>(i);
    const auto name = std::string(policy::to_string(reason));
    if (name.ends_with("_allowed") && !name.ends_with("not_allowed")) continue;
    if (reason == policy::Reason::kRequestRuleMatched) continue;
    EXPECT_THAT(why_denied(https("a.example", name)), Not(HasSubstr("denied:"))) << name;
  }
  EXPECT_THAT(why_denied(https("a.example", "new_reason")), HasSubstr("new_reason")) << "the control";
}

TEST(RunReport, KeepsWhatTheCommandChoseInsideItsCell) {
  auto odd = https("x` | <b>\n\x1b[31m```");
  const std::string text = formatted_summary(SummaryFormat::kMarkdown, end_with({odd}), *compiled(), false);
  EXPECT_THAT(text, HasSubstr("| `x' \\| <b>??[31m'''` |"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(RunReport, WritesLinesOfPolicyInFlowStyle) {
  EXPECT_THAT(
      in_flow_style("domains:\n  - a.example\n  - \"*.b.example\"\nendpoints:\n  - {host: c.example, port: 1}\n"),
      ElementsAre("domains: [a.example, \"*.b.example\"]", "endpoints: [{host: c.example, port: 1}]"));
  EXPECT_THAT(in_flow_style("domains:\n  - host: a.example  # why\n    rules:\n      - schemes: [https]\n"),
              ElementsAre("domains: [{host: a.example, rules: [{schemes: [https]}]}]"));
  EXPECT_THAT(in_flow_style("domains: ["), IsEmpty());
}

TEST(RunReport, QuotesWordsForTheShell) {
  EXPECT_EQ(in_shell_quotes("a/b-c_1.yaml"), "a/b-c_1.yaml");
  EXPECT_EQ(in_shell_quotes(""), "''");
  EXPECT_EQ(in_shell_quotes("my policy;id.yaml"), "'my policy;id.yaml'");
  EXPECT_EQ(in_shell_quotes("$(id) `id` \\"), "'$(id) `id` \\'");
  EXPECT_EQ(in_shell_quotes("it's"), "'it'\\''s'");
  EXPECT_EQ(in_shell_quotes("it's\x1b[m\\"), "$'it\\'s\\x1b[m\\\\'");
}

TEST(RunReport, OffersOptionsOnlyForAllOfTheLines) {
  EXPECT_EQ(as_allow_options("domains:\n  - a.example\nendpoints:\n  - {host: c.example, port: 1}\n"
                             "  - {cidr: \"2001:db8::1/128\", port: 2, protocol: tcp}\n"),
            "--allow a.example --allow c.example:1 --allow '[2001:db8::1]:2'");
  EXPECT_EQ(as_allow_options("endpoints:\n  - {host: c.example, port: 1}\n"), "--allow c.example:1");
  EXPECT_THAT(as_allow_options("endpoints:\n  - {host: c.example, port: 1, protocol: udp}\n"), IsEmpty());
  EXPECT_EQ(as_allow_options("domains:\n  - \"*.a.example\"\n"), "--allow '*.a.example'");
  EXPECT_THAT(as_allow_options("domains:\n  - a.example\n  - {host: b.example, addresses: [\"10.0.0.1/32\"]}\n"),
              IsEmpty());
}

}  // namespace
}  // namespace soleroute::gateway::jail
