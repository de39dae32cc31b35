// When a reload is answered: once every worker has the policy, or with the names of those that have not.
// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/reload_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "tests/support/await.h"
#include "tests/support/recording_log.h"

namespace soleroute::gateway::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Fixture {
  ReloadWatch::Answer into(std::optional<PolicyInForce>& answered) {
    return [&answered](const base::Result<PolicyInForce>& done) { answered = *done; };
  }
  boost::asio::io_context io;
  testing::RecordingLog log;
  std::vector<std::size_t> behind{2};
  ReloadWatch watch{io, log, [this] { return behind; }};
};

TEST(ReloadWatch, AnswersWhenEveryWorkerHasThePolicy) {
  Fixture f;
  std::optional<PolicyInForce> first;
  std::optional<PolicyInForce> second;
  f.watch.begin({2, "two"}, f.into(first));
  f.watch.begin({3, "three"}, f.into(second));
  EXPECT_FALSE(first);
  f.watch.taken(2);
  ASSERT_TRUE(first);
  EXPECT_THAT(first->behind, IsEmpty());
  EXPECT_FALSE(second);
  f.watch.taken(3);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->summary, "three");
}

TEST(ReloadWatch, NamesTheWorkersThatAreLateAndAnswersOnce) {
  Fixture f;
  std::optional<PolicyInForce> answered;
  f.watch.begin({2, "two"}, f.into(answered));
  testing::run_until(f.io, [&] { return answered.has_value(); });
  EXPECT_THAT(answered->behind, ElementsAre(2U));
  answered.reset();
  f.watch.taken(2);
  EXPECT_FALSE(answered);
}

TEST(ReloadWatch, NamesWorkersInWords) {
  EXPECT_EQ(workers_text({1}), "worker 1");
  EXPECT_EQ(workers_text({1, 3}), "workers 1, 3");
}

}  // namespace
}  // namespace soleroute::gateway::serve
