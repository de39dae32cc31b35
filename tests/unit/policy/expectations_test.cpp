// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/expectations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kPolicy = "domains:\n  - allowed.test\nendpoints: [{host: db.test, port: 5432}]\n";

ExpectationReport run(std::string_view rows) {
  const auto table = read_expectations("table.yaml", "tests:\n" + std::string(rows));
  if (!table) {
    ADD_FAILURE() << table.error().message;
    return {};
  }
  return run_expectations("table.yaml", *table, *compile(kPolicy));
}

TEST(Expectations, PassWhereThePolicyDoesWhatIsExpected) {
  const auto report = run(R"(
  - {url: "https://allowed.test/", expect: allow}
  - {url: "https://allowed.test/", method: POST, expect: allow, reason: host_allowed, rule: "policy.yaml:2"}
  - {url: "https://allowed.test/", expect: allow, rule: policy.yaml}
  - {url: "https://denied.test/", expect: deny, reason: host_not_allowed}
  - {host: db.test, port: 5432, expect: allow}
  - {host: db.test, port: 5432, protocol: udp, expect: deny}
  - {host: 192.0.2.1, port: 22, protocol: tcp, expect: deny, reason: endpoint_not_allowed, name: no ssh}
)");
  EXPECT_EQ(report.results.size(), 7u);
  EXPECT_EQ(report.failures(), 0u) << to_human({report}, true);
  EXPECT_EQ(report.results[0].name, "GET https://allowed.test/");
  EXPECT_EQ(report.results[4].name, "tcp db.test port 5432");
  EXPECT_EQ(report.results[6].name, "no ssh");
  EXPECT_EQ(report.results[6].place, "table.yaml:9");
}

TEST(Expectations, FailWhereAnythingDiffers) {
  const auto report = run(R"(
  - {url: "https://allowed.test/", expect: deny}
  - {url: "https://denied.test/", expect: allow}
  - {url: "https://denied.test/", expect: deny, reason: no_sni}
  - {url: "https://allowed.test/", expect: allow, rule: "policy.yaml:3"}
  - {url: "https://allowed.test/", expect: allow, rule: "olicy.yaml:2"}
  - {url: "https://denied.test/", expect: deny, rule: policy.yaml}
)");
  EXPECT_EQ(report.failures(), 6u) << to_human({report}, true);
  EXPECT_THAT(report.results[0].failure, StartsWith("expected denied, got allowed: host_allowed, policy.yaml:2\n"));
  EXPECT_THAT(report.results[1].failure, HasSubstr("    domains:\n      - denied.test\n"));
}

TEST(Expectations, RefuseTablesThatCouldPassWithoutTesting) {
  struct Row {
    std::string_view text, expect;
  };
  for (const auto& row : std::initializer_list<Row>{
           {"", "table.yaml: a table of tests must be a mapping"},
           {"{}", "table.yaml:1:1: a table needs 'tests'"},
           {"tests: []", "table.yaml:1:8: tests must not be empty"},
           {"tests:", "table.yaml:1:1: tests must be a list, not nothing"},
           {"tests: [{url: \"http://a.test/\"}]", "table.yaml:1:9: a test needs 'expect'"},
           {"tests: [{expect: deny}]", "table.yaml:1:9: a test needs either 'url' or 'host'"},
           {"tests: [{expect: deny, url: a, host: b, port: 1}]", "table.yaml:1:9: a test needs either"},
           {"tests: [{expect: deny, url: a, port: 1}]", "table.yaml:1:9: 'port' is only for 'host'"},
           {"tests: [{expect: deny, host: a}]", "table.yaml:1:9: 'host' needs 'port'"},
           {"tests: [{expect: denied, url: a}]",
            "table.yaml:1:18: expect must be one of allow, deny, not 'denied', did"},
           {"tests: [{expect: deny, reson: x}]", "table.yaml:1:24: unknown key 'reson', did you mean 'reason'?"},
           {"tests: [{expect: deny, host: a, port: 70000}]", "table.yaml:1:39: a port must be a number"},
           {"policies: []\ntests: [{expect: deny, url: a}]", "table.yaml:1:11: policies must not be empty"},
       }) {
    const auto table = read_expectations("table.yaml", row.text);
    ASSERT_FALSE(table) << row.text;
    EXPECT_THAT(table.error().message, StartsWith(row.expect));
  }
  const auto named = read_expectations("t", "policies: [a.yaml, b.yaml]\ntests: [{expect: deny, url: a}]");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->policies, (std::vector<std::string>{"a.yaml", "b.yaml"}));
}

std::vector<ExpectationReport> two() {
  return {run(R"(
  - {url: "https://allowed.test/", expect: allow, name: "fine # <&>"}
  - {url: "https://allowed.test/", expect: deny, name: "wrong\x1b[2J \"q\""}
)")};
}

TEST(ExpectationOutput, IsReadableByPeople) {
  EXPECT_EQ(to_human(two(), false),
            "FAILED  wrong\\u{001b}[2J \"q\"  (table.yaml:4)\n"
            "        expected denied, got allowed: host_allowed, policy.yaml:2\n"
            "        The policy allows allowed.test.\n"
            "1 of 2 passed\n");
  EXPECT_THAT(to_human(two(), true), StartsWith("ok      fine # <&>  (allowed: host_allowed, policy.yaml:2)\n"));
}

TEST(ExpectationOutput, IsTap) {
  EXPECT_EQ(to_tap(two()),
            "TAP version 13\n"
            "1..2\n"
            "ok 1 - fine \\# <&>\n"
            "not ok 2 - wrong\\\\u{001b}[2J \"q\"\n"
            "  ---\n"
            "  at: \"table.yaml:4\"\n"
            "  message: |\n"
            "    expected denied, got allowed: host_allowed, policy.yaml:2\n"
            "    The policy allows allowed.test.\n"
            "  ...\n");
}

std::vector<ExpectationReport> broken() {
  auto reports = two();
  auto& wrong = reports.emplace_back(ExpectationReport{.table = "other.yaml"});
  wrong.faults.add({.file = "policy.yaml",
                    .line = 3,
                    .column = 5,
                    .what = "unknown key 'hots'",
                    .text = "policy.yaml:3:5: unknown key 'hots'\n    3 |   - hots: <a>\n            ^"});
  return reports;
}

TEST(ExpectationOutput, BailsOutOfTapWhereAPolicyIsWrong) {
  const auto tap = to_tap(broken());
  EXPECT_THAT(tap, StartsWith("TAP version 13\n1..2\nok 1 - fine"));
  EXPECT_THAT(tap,
              ::testing::EndsWith("# policy.yaml:3:5: unknown key 'hots'\n#     3 |   - hots: <a>\n#             ^\n"
                                  "Bail out! policy.yaml:3:5: unknown key 'hots'\n"));
}

TEST(ExpectationOutput, IsJUnit) {
  EXPECT_EQ(to_junit(broken(), {.timestamp = "2026-01-31T12:00:00", .hostname = "m"}),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuites name=\"gateway test\" tests=\"3\" failures=\"1\" errors=\"1\" time=\"0.000\">\n"
            "  <testsuite name=\"table.yaml\" tests=\"2\" failures=\"1\" errors=\"0\" time=\"0.000\" skipped=\"0\" "
            "timestamp=\"2026-01-31T12:00:00\" hostname=\"m\" file=\"table.yaml\">\n"
            "    <testcase classname=\"table.yaml\" name=\"fine # &lt;&amp;&gt;\" file=\"table.yaml\" line=\"3\" "
            "time=\"0.000000\"/>\n"
            "    <testcase classname=\"table.yaml\" name=\"wrong\\u{001b}[2J &quot;q&quot;\" file=\"table.yaml\" "
            "line=\"4\" time=\"0.000000\">\n"
            "      <failure type=\"policy\" message=\"expected denied, got allowed: host_allowed, policy.yaml:2\">"
            "table.yaml:4\n"
            "expected denied, got allowed: host_allowed, policy.yaml:2\n"
            "The policy allows allowed.test.\n"
            "</failure>\n"
            "    </testcase>\n"
            "  </testsuite>\n"
            "  <testsuite name=\"other.yaml\" tests=\"1\" failures=\"0\" errors=\"1\" time=\"0.000\" skipped=\"0\" "
            "timestamp=\"2026-01-31T12:00:00\" hostname=\"m\" file=\"other.yaml\">\n"
            "    <testcase classname=\"other.yaml\" name=\"policy.yaml is valid\" file=\"policy.yaml\" line=\"3\" "
            "time=\"0.000000\">\n"
            "      <error type=\"invalid\" message=\"policy.yaml:3:5: unknown key 'hots'\">"
            "policy.yaml:3:5: unknown key 'hots'\n"
            "    3 |   - hots: &lt;a&gt;\n"
            "            ^\n"
            "</error>\n"
            "    </testcase>\n"
            "  </testsuite>\n"
            "</testsuites>\n");
}

TEST(ExpectationOutput, IsJson) {
  const auto json = to_json(broken());
  EXPECT_THAT(json, StartsWith("{\n  \"passed\": 1,\n  \"failed\": 1,\n  \"errors\": 1,\n"));
  EXPECT_THAT(json, ::testing::HasSubstr("\"message\": \"unknown key 'hots'\""));
  EXPECT_THAT(json, ::testing::HasSubstr("\"name\": \"fine # <&>\""));
}

}  // namespace
}  // namespace soleroute::policy::testing
