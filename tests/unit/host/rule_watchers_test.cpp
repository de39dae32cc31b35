// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/rule_watchers.h"

#include <gtest/gtest.h>

#include <string>

namespace soleroute::gateway::host {
namespace {

std::string table(const char* socket) {
  return std::string(
             "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
             "000000003252e4d0 0   0          00000000 0        0        0     2        0        4       \n") +
         socket;
}

TEST(RuleWatchers, AreSocketsThatHearOfNftablesChanges) {
  struct Row {
    const char* why;
    const char* socket;
    bool watches;
  };
  const Row rows[] = {
      {"the group of nftables", "00000000aa4ae86a 12  4711       00000040 0        0        0     2  0 2\n", true},
      {"among other groups", "00000000aa4ae86a 12  4711       000000c1 0        0        0     2  0 2\n", true},
      {"a port that is no process number", "00000000aa4ae86a 12  -4711 00000040 0 0 0 2 0 2\n", true},
      {"without a line end", "00000000aa4ae86a 12  4711       00000040 0", true},
      {"another group of netfilter", "00000000aa4ae86a 12  4711       00000001 0        0        0     2  0 2\n",
       false},
      {"the same group of routing", "00000000aa4ae86a 0   4711       00000040 0        0        0     2  0 2\n", false},
      {"no group", "00000000aa4ae86a 12  4711       00000000 0        0        0     2  0 2\n", false},
      {"cut short", "00000000aa4ae86a 12  4711", false},
      {"nothing", "", false},
  };
  for (const Row& row : rows) EXPECT_EQ(has_rule_watcher(table(row.socket)), row.watches) << row.why;
  EXPECT_FALSE(has_rule_watcher(""));
}

}  // namespace
}  // namespace soleroute::gateway::host
