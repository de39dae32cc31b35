// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/netns_processes.h"

#include <gtest/gtest.h>

#include <string>

namespace soleroute::gateway::host {
namespace {

std::string status(const char* permitted, const char* effective, const char* bounding, const char* no_new_privileges) {
  return std::string("Name:\tsleep\nCapInh:\t0000000000000000\nCapPrm:\t") + permitted + "\nCapEff:\t" + effective +
         "\nCapBnd:\t" + bounding + "\nNoNewPrivs:\t" + no_new_privileges + "\nSeccomp:\t2\n";
}

TEST(NetworkPowers, ThatCanBeUsedNowAreTheEffectiveOnes) {
  constexpr const char* kNone = "0000000000000000";
  constexpr const char* kAdmin = "0000000000001000";
  EXPECT_FALSE(effective_powers(status(kAdmin, kNone, kAdmin, "0")).any());
  EXPECT_TRUE(effective_powers(status(kAdmin, kAdmin, kNone, "1")).admin);
}

TEST(NetworkPowers, AreWhatTheProcessHoldsOrCouldGain) {
  constexpr const char* kNone = "0000000000000000";
  constexpr const char* kRaw = "0000000000002000";
  constexpr const char* kAdmin = "0000000000001000";
  struct Row {
    const char* why;
    std::string text;
    NetworkPowers expected;
  };
  const Row rows[] = {
      {"nothing in any set", status(kNone, kNone, kNone, "0"), {}},
      {"an engine's default set",
       status("00000000a80425fb", "00000000a80425fb", "00000000a80425fb", "0"),
       {.admin = false, .raw = true}},
      {"effective", status(kAdmin, kAdmin, kAdmin, "1"), {.admin = true, .raw = false}},
      {"permitted can be raised", status(kRaw, kNone, kNone, "1"), {.admin = false, .raw = true}},
      {"a privileged file would give it", status(kNone, kNone, kRaw, "0"), {.admin = false, .raw = true}},
      {"no_new_privs: no file can", status(kNone, kNone, kRaw, "1"), {}},
      {"everything",
       status("000001ffffffffff", "000001ffffffffff", "000001ffffffffff", "0"),
       {.admin = true, .raw = true}},
      {"another field with the same beginning", "CapEffort:\t1000\nNoNewPrivs:\t1\n", {}},
      {"an empty file: the process is gone", "", {}},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(network_powers(row.text), row.expected) << row.why;
  }
}

TEST(NetworkPowers, AreNamedAsPeopleDropThem) {
  EXPECT_EQ(to_string(NetworkPowers{.admin = true, .raw = true}), "CAP_NET_ADMIN and CAP_NET_RAW");
  EXPECT_EQ(to_string(NetworkPowers{.admin = false, .raw = true}), "CAP_NET_RAW");
}

TEST(PacketSockets, AreCountedBelowTheHeadings) {
  EXPECT_EQ(packet_socket_count("sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"), 0);
  EXPECT_EQ(packet_socket_count("sk RefCnt Type\n0000000000000000 3 3\n0000000000000000 3 2\n"), 2);
  EXPECT_EQ(packet_socket_count(""), 0);
}

}  // namespace
}  // namespace soleroute::gateway::host
