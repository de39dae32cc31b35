// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/hosts_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace soleroute::base {
namespace {

using ::testing::ElementsAre;

TEST(HostsFile, GivesEachNameOfALineWithItsAddress) {
  std::vector<std::string> found;
  for_each_host(
      "# comment\n127.0.0.1\tlocalhost  a.test # b.test\n\nnonsense c.test\n  ::1 six.test\r\n10.0.0.1\n192.0.2.1 "
      "last.test#x",
      [&](const IpAddress& address, std::string_view name) {
        found.push_back(address.to_string() + " " + std::string(name));
      });
  EXPECT_THAT(found, ElementsAre("127.0.0.1 localhost", "127.0.0.1 a.test", "::1 six.test", "192.0.2.1 last.test"));
}

TEST(Words, AreCutOffOneAfterTheOther) {
  std::string_view line = " \tone two\r";
  EXPECT_EQ(next_word(line), "one");
  EXPECT_EQ(next_word(line), "two");
  EXPECT_EQ(next_word(line), "");
}

}  // namespace
}  // namespace soleroute::base
