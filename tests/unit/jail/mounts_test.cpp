// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/mounts.h"

#include <gtest/gtest.h>

namespace soleroute::gateway::jail {
namespace {

struct Case {
  const char* text;
  const char* expected;
  const char* reason;
};

TEST(ResolvConf, NamesTheGatewayAloneAndKeepsTheRest) {
  const Case cases[]{
      {"", "nameserver 100.64.0.1\n", "an empty file"},
      {"nameserver 127.0.0.53\n", "nameserver 100.64.0.1\n", "a stub resolver"},
      {"nameserver fe80::1%eth0\nnameserver 9.9.9.9", "nameserver 100.64.0.1\n",
       "a zone that the jail lacks; no newline"},
      {"# made by x\nsearch a.test b.test\noptions edns0\n",
       "nameserver 100.64.0.1\nsearch a.test b.test\noptions edns0\n", "search and options stay, comments go"},
      {"domain a.test\nsortlist 10.0.0.0\n", "nameserver 100.64.0.1\ndomain a.test\n", "domain stays"},
      {"\tnameserver 9.9.9.9\n", "nameserver 100.64.0.1\n", "a line that resolvers ignore"},
  };
  for (const Case& one : cases) EXPECT_EQ(resolv_conf_with(one.text, "100.64.0.1"), one.expected) << one.reason;
}

}  // namespace
}  // namespace soleroute::gateway::jail
