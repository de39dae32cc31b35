// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/board.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/watch/records.h"

namespace soleroute::gateway::watch {
namespace {

const Board::Clock::time_point kNow{};

std::vector<std::string> hosts(const Board& board) {
  std::vector<std::string> out;
  for (const auto* row : board.rows()) out.push_back(row->event.line.decision.host);
  return out;
}

std::string selected(const Board& board) {
  const auto* row = board.selected();
  return row == nullptr ? "" : row->event.line.decision.host;
}

using Hosts = std::vector<std::string>;

TEST(Board, CountsAndShowsRowsInTheirOrderAndThoseThatWaitLast) {
  Board board;
  board.add(test::held(1, "waits.test"), kNow);
  board.add(test::allowed("a.test"), kNow);
  board.add(test::denied("b.test"), kNow);
  EXPECT_EQ(hosts(board), (Hosts{"a.test", "b.test", "waits.test"}));
  EXPECT_EQ(board.allowed(), 1U);
  EXPECT_EQ(board.denied(), 1U);
  EXPECT_EQ(board.waiting(), 1U);
  board.add(test::settled(1, "no"), kNow);
  EXPECT_EQ(hosts(board), (Hosts{"a.test", "b.test"}));
}

TEST(Board, FiltersByTextInAnyCaseAndKeepsThoseThatWait) {
  Board board;
  board.add(test::allowed("a.test"), kNow);
  board.add(test::denied("b.test"), kNow);
  board.add(test::held(1, "waits.test"), kNow);
  board.set_filter("A.TEST");
  EXPECT_EQ(hosts(board), (Hosts{"a.test", "waits.test"}));
  board.set_filter("");
  board.set_only_denied(true);
  EXPECT_EQ(hosts(board), (Hosts{"b.test", "waits.test"}));
}

TEST(Board, ShowsNothingNewWhilePaused) {
  Board board;
  board.add(test::denied("a.test"), kNow);
  board.set_paused(true);
  board.add(test::denied("b.test"), kNow);
  EXPECT_EQ(hosts(board), Hosts{"a.test"});
  EXPECT_EQ(board.denied(), 2U);
  board.set_paused(false);
  EXPECT_EQ(hosts(board), (Hosts{"a.test", "b.test"}));
}

TEST(Board, SelectsWhatWaitsThenTheLatestDenialUntilARowIsChosen) {
  Board board;
  EXPECT_EQ(selected(board), "");
  board.add(test::denied("a.test"), kNow);
  board.add(test::denied("b.test"), kNow);
  board.add(test::allowed("c.test"), kNow);
  EXPECT_EQ(selected(board), "b.test");
  board.add(test::held(1, "waits.test"), kNow);
  EXPECT_EQ(selected(board), "waits.test");
  board.choose_end(true);
  board.add(test::held(2, "more.test"), kNow);
  board.add(test::denied("d.test"), kNow);
  EXPECT_EQ(selected(board), "a.test") << "a chosen row stays selected";
  board.choose(1);
  EXPECT_EQ(selected(board), "b.test");
  board.release();
  EXPECT_EQ(selected(board), "waits.test");
}

TEST(Board, CountsByHostWithTheMostDeniedFirst) {
  Board board;
  board.add(test::allowed("a.test"), kNow);
  for (int i = 0; i < 3; ++i) board.add(test::denied("b.test"), kNow);
  board.add(test::denied("c.test"), kNow);
  board.set_by_host(true);
  EXPECT_EQ(hosts(board), (Hosts{"b.test", "c.test", "a.test"}));
  EXPECT_EQ(board.rows().front()->denied, 3U);
}

TEST(Board, IsBounded) {
  Board board;
  for (std::size_t i = 0; i < Board::kMaxRows + 10; ++i)
    board.add(test::denied("h" + std::to_string(i) + ".test"), kNow);
  EXPECT_EQ(board.rows().size(), Board::kMaxRows);
  EXPECT_EQ(hosts(board).back(), "h" + std::to_string(Board::kMaxRows + 9) + ".test");
  board.set_by_host(true);
  EXPECT_EQ(board.rows().size(), Board::kMaxHosts);
  for (std::size_t i = 0; i < Board::kMaxWaiting + 10; ++i) board.add(test::held(i, "w.test"), kNow);
  EXPECT_EQ(board.waiting(), Board::kMaxWaiting);
}

}  // namespace
}  // namespace soleroute::gateway::watch
