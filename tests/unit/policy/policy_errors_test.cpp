// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {
namespace {

TEST(PolicyErrors, ShowTheLineACaretAndTheLikelySpelling) {
  const auto policy = try_compile({"services: [claude]\ndomains:\n  - hots: a.test\n"});
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().message,
            "policy.yaml:3:5: unknown key 'hots', did you mean 'host'?\n"
            "    3 |   - hots: a.test\n"
            "            ^");
  EXPECT_EQ(policy.error().kind, base::ErrorKind::kUsage);
}

}  // namespace
}  // namespace soleroute::policy::testing
