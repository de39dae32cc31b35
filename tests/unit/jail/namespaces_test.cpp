// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/namespaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <vector>

namespace soleroute::gateway::jail {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ExplainForbidden, NamesTheSwitchAndTheCommandThatTurnsIt) {
  struct Case {
    UserNamespaceSwitches switches;
    int err;
    const char* says;
  };
  const std::vector<Case> cases{
      {{.max_user_namespaces = 0}, ENOSPC, "sysctl -w user.max_user_namespaces=15000"},
      {{.max_user_namespaces = 100, .unprivileged_clone = 0}, EPERM, "sysctl -w kernel.unprivileged_userns_clone=1"},
      {{.max_user_namespaces = 100, .apparmor_restricts = 1},
       EACCES,
       "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
      {{.max_user_namespaces = 100, .apparmor_restricts = 1}, EACCES, "`userns,`"},
      {{.max_user_namespaces = 100}, ENOSPC, "limit on their number"},
      {{.max_user_namespaces = 100, .unprivileged_clone = 1, .apparmor_restricts = 0}, EPERM, "--privileged"},
      {{.has_proc_user_namespace = false}, EINVAL, "CONFIG_USER_NS"},
  };
  for (const Case& one : cases) {
    const std::string text = explain_forbidden(one.switches, one.err);
    EXPECT_THAT(text, HasSubstr(one.says));
    EXPECT_THAT(text, HasSubstr("sudo gateway run")) << "the way that always works";
  }
}

TEST(ExplainForbidden, SuspectsNoSwitchThatIsOpen) {
  const std::string text =
      explain_forbidden({.max_user_namespaces = 100, .unprivileged_clone = 1, .apparmor_restricts = 0}, EPERM);
  EXPECT_THAT(text, Not(HasSubstr("sysctl")));
  EXPECT_THAT(text, HasSubstr("sudo gateway run"));
  EXPECT_THAT(explain_forbidden({.no_new_privs = true}, EPERM), Not(HasSubstr("sudo gateway run")));
}

}  // namespace
}  // namespace soleroute::gateway::jail
