// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

namespace soleroute::gateway::audit {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, NamesEveryCounterOnce) {
  std::set<std::string_view> names;
  for (const CounterField& field : counter_fields()) names.insert(field.name);
  EXPECT_EQ(names.size(), counter_fields().size());
  // All members of Counters but policy_stale: a new counter must be added to the table.
  EXPECT_EQ(names.size() * sizeof(Counter) + alignof(Counter), sizeof(Counters));
}

TEST(Metrics, ShowsValuesAsTotalsAndGauges) {
  Counters counters;
  counters.decisions_denied = 7;
  counters.connections_open = 3;
  counters.policy_stale = true;
  const std::string text = prometheus_text(counters);
  EXPECT_THAT(text,
              HasSubstr("\n# TYPE soleroute_decisions_denied_total counter\nsoleroute_decisions_denied_total 7\n"));
  EXPECT_THAT(text, HasSubstr("\n# TYPE soleroute_connections_open gauge\nsoleroute_connections_open 3\n"));
  EXPECT_THAT(text, HasSubstr("\nsoleroute_policy_stale 1\n"));
}

TEST(Metrics, FollowsTheExpositionFormat) {
  const std::regex comment("# (HELP|TYPE) soleroute_[a-z_]+ [^\\n]+");
  const std::regex sample("soleroute_[a-z_]+ [0-9]+");
  std::istringstream lines(prometheus_text(Counters{}));
  std::size_t samples = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) {
      EXPECT_TRUE(std::regex_match(line, comment)) << line;
      continue;
    }
    EXPECT_TRUE(std::regex_match(line, sample)) << line;
    ++samples;
  }
  EXPECT_EQ(samples, counter_fields().size() + 2);
}

}  // namespace
}  // namespace soleroute::gateway::audit
