// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/leaf_issuer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ca_lab.h"
#include "gateway/inspect/certificate_facts.h"
#include "tests/support/await.h"

namespace soleroute::gateway::inspect {
namespace {

namespace asio = boost::asio;
using soleroute::testing::await;
using soleroute::testing::run_until;
using ::testing::HasSubstr;
using Answer = base::Result<std::shared_ptr<const Leaf>>;

// A clock that the test moves, and that can hold the issuer's thread up in the middle of signing.
class LabClock {
 public:
  TimePoint operator()() {
    while (held_ && std::this_thread::get_id() != owner_) std::this_thread::yield();
    return now_.load();
  }
  void hold(bool held) { held_ = held; }
  void advance(std::chrono::seconds by) { now_ = now_.load() + by; }

 private:
  std::thread::id owner_ = std::this_thread::get_id();
  std::atomic<bool> held_ = false;
  std::atomic<TimePoint> now_ = std::chrono::system_clock::now();
};

class Issuing : public ::testing::Test {
 protected:
  std::shared_ptr<LeafIssuer> issuer(LeafLimits limits = {}, const CaShape& shape = {}) {
    auto authority = Authority::parse(ca_pem(shape), clock_());
    return LeafIssuer::start(std::move(*authority), limits, [this] { return clock_(); }).value();
  }

  LabClock clock_;
  asio::io_context io_;
};

TEST_F(Issuing, SignsOnceAndThenGivesWhatItHas) {
  const auto source = issuer();
  const Answer first = await(io_, source->leaf_for(host("a.example"), LeafUse::kInspection));
  ASSERT_TRUE(first.has_value()) << first.error().message;
  const Answer again = await(io_, source->leaf_for(host("a.example"), LeafUse::kInspection));
  EXPECT_EQ(*first, *again);
  const Answer other = await(io_, source->leaf_for(host("b.example"), LeafUse::kInspection));
  EXPECT_NE(*first, *other);
  EXPECT_EQ(source->signed_count(), 2U);
}

// The subject is all that `openssl s_client` and a browser's certificate view show.
TEST_F(Issuing, SaysInTheSubjectOfALeafThatItOnlyShowsARefusal) {
  const auto source = issuer();
  const auto subject = [&](LeafUse use) {
    const Answer leaf = await(io_, source->leaf_for(host("a.example"), use));
    return describe(*(*leaf)->certificate).subject;
  };
  EXPECT_EQ(subject(LeafUse::kInspection), "CN = a.example");
  EXPECT_EQ(subject(LeafUse::kRefusal), "CN = a.example, O = Blocked by policy");
  EXPECT_EQ(subject(LeafUse::kInspection), "CN = a.example") << "each has a cache to itself";
  EXPECT_EQ(source->signed_count(), 2U);
}

TEST_F(Issuing, SignsOnceForAllWhoAskAtTheSameTime) {
  const auto source = issuer();
  clock_.hold(true);
  std::vector<std::optional<Answer>> answers(50);
  for (auto& answer : answers)
    soleroute::testing::start(io_, source->leaf_for(host("a.example"), LeafUse::kInspection), answer);
  io_.poll();  // all of them wait now
  EXPECT_FALSE(answers.front().has_value());
  clock_.hold(false);
  run_until(io_, [&] { return std::ranges::all_of(answers, [](const auto& answer) { return answer.has_value(); }); });
  for (const auto& answer : answers) EXPECT_EQ(**answer, **answers.front());
  EXPECT_EQ(source->signed_count(), 1U);
}

TEST_F(Issuing, ServesSeveralLoopsEachOnItsOwnThread) {
  const auto source = issuer();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      asio::io_context io;
      const auto self = std::this_thread::get_id();
      for (int name = 0; name < 50; ++name) {
        const auto ask = [](LeafIssuer& from, base::HostName which, std::thread::id mine,
                            std::atomic<int>& count) -> asio::awaitable<bool> {
          const auto leaf = co_await from.leaf_for(std::move(which), LeafUse::kInspection);
          if (!leaf || std::this_thread::get_id() != mine) ++count;
          co_return true;
        };
        await(io, ask(*source, host("h" + std::to_string(name) + ".example"), self, wrong));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(source->signed_count(), 50U);
}

TEST_F(Issuing, MakesALeafAnewLongBeforeItExpires) {
  const auto source = issuer();
  const Answer first = await(io_, source->leaf_for(host("a.example"), LeafUse::kInspection));
  clock_.advance(hours(23));
  EXPECT_EQ(*first, *await(io_, source->leaf_for(host("a.example"), LeafUse::kInspection))) << "the control";
  clock_.advance(hours(2));
  const Answer second = await(io_, source->leaf_for(host("a.example"), LeafUse::kInspection));
  EXPECT_NE(*first, *second);
  EXPECT_GT(valid_until(*(*second)->certificate), valid_until(*(*first)->certificate));
}

TEST_F(Issuing, SignsARevocationListOnceADay) {
  const auto source = issuer();
  const auto first = source->revocation_list();
  ASSERT_TRUE(first);
  clock_.advance(hours(23));
  EXPECT_EQ(source->revocation_list(), first) << "the same bytes, not others like them";
  clock_.advance(hours(2));
  const auto second = source->revocation_list();
  EXPECT_NE(*second, *first);
  clock_.advance(-hours(3));
  EXPECT_NE(source->revocation_list(), second) << "the clock was set back: its period may not have begun";
  EXPECT_FALSE(issuer({}, {.usage = "critical,keyCertSign"})->revocation_list());
}

TEST_F(Issuing, MakesALeafAnewWhenTheClockWasSetBack) {
  const auto source = issuer();
  const Answer first = await(io_, source->leaf_for(host("a.example"), LeafUse::kInspection));
  clock_.advance(-kLeafBackdate - hours(1));
  const Answer second = await(io_, source->leaf_for(host("a.example"), LeafUse::kInspection));
  ASSERT_TRUE(second.has_value());
  EXPECT_NE(*first, *second);
}

// T115: many names cost one signature each and no more memory.
TEST_F(Issuing, KeepsNoMoreLeavesThanItMay) {
  const auto source = issuer({.kept = 10, .waiting = 10});
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(
        await(io_, source->leaf_for(host("h" + std::to_string(i) + ".example"), LeafUse::kInspection)).has_value());
  }
  const std::uint64_t before = source->signed_count();
  ASSERT_TRUE(await(io_, source->leaf_for(host("h99.example"), LeafUse::kInspection)).has_value());
  EXPECT_EQ(source->signed_count(), before) << "the control: the last ten are kept";
  ASSERT_TRUE(await(io_, source->leaf_for(host("h0.example"), LeafUse::kInspection)).has_value());
  EXPECT_EQ(source->signed_count(), before + 1);
}

TEST_F(Issuing, RefusesMoreNamesThanMayWait) {
  const auto source = issuer({.kept = 10, .waiting = 10});
  clock_.hold(true);
  std::vector<std::optional<Answer>> answers(30);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    soleroute::testing::start(io_, source->leaf_for(host("h" + std::to_string(i) + ".example"), LeafUse::kInspection),
                              answers[i]);
  }
  io_.poll();
  EXPECT_FALSE(answers[0].has_value());
  ASSERT_TRUE(answers[29].has_value());
  ASSERT_FALSE(answers[29]->has_value());
  EXPECT_THAT(answers[29]->error().message, HasSubstr("too many"));
  clock_.hold(false);
  run_until(io_, [&] { return std::ranges::all_of(answers, [](const auto& answer) { return answer.has_value(); }); });
  EXPECT_TRUE(await(io_, source->leaf_for(host("h29.example"), LeafUse::kInspection)).has_value())
      << "there is room again";
}

TEST_F(Issuing, SaysThatTheCaHasExpired) {
  const auto source = issuer({}, {.until = std::chrono::system_clock::now() + hours(5)});
  ASSERT_TRUE(await(io_, source->leaf_for(host("a.example"), LeafUse::kInspection)).has_value());
  clock_.advance(hours(6));
  const Answer late = await(io_, source->leaf_for(host("a.example"), LeafUse::kInspection));
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().kind, base::ErrorKind::kSystem);
  EXPECT_THAT(late.error().message, HasSubstr("gateway ca rotate"));
}

TEST_F(Issuing, OutlivesLoopsThatEndWhileTheirFlowsWait) {
  const auto source = issuer();
  clock_.hold(true);
  for (int i = 0; i < 20; ++i) {
    asio::io_context short_lived;
    std::optional<Answer> answer;
    soleroute::testing::start(short_lived, source->leaf_for(host("a.example"), LeafUse::kInspection), answer);
    short_lived.poll();
    EXPECT_FALSE(answer.has_value());
  }
  clock_.hold(false);
  EXPECT_TRUE(await(io_, source->leaf_for(host("a.example"), LeafUse::kInspection)).has_value());
}

TEST_F(Issuing, EndsWhileNamesWait) {
  asio::io_context io;
  auto source = issuer();
  clock_.hold(true);
  std::vector<std::optional<Answer>> answers(5);
  {
    asio::io_context short_lived;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      soleroute::testing::start(
          short_lived, source->leaf_for(host("h" + std::to_string(i) + ".example"), LeafUse::kInspection), answers[i]);
    }
    short_lived.poll();
  }
  clock_.hold(false);
  source.reset();
  EXPECT_FALSE(answers[4].has_value());
}

}  // namespace
}  // namespace soleroute::gateway::inspect
