// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace soleroute::gateway::jail {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Invoker root_with(std::optional<std::string> uid, std::optional<std::string> gid) {
  return {.uid = 0, .gid = 0, .privileged = true, .sudo_uid = std::move(uid), .sudo_gid = std::move(gid)};
}

TEST(CommandIdentity, IsTheInvokersOwnWithoutSudo) {
  const auto user = command_identity({.uid = 1000, .gid = 100, .privileged = false, .sudo_uid = {}, .sudo_gid = {}});
  ASSERT_TRUE(user.has_value());
  EXPECT_EQ(user->uid, 1000U);
  EXPECT_EQ(user->gid, 100U);
  EXPECT_FALSE(user->borrowed);
  EXPECT_EQ(command_identity(root_with({}, {}))->uid, 0U);
}

TEST(CommandIdentity, IsTheUserOfSudoForPrivilegedRoot) {
  const auto nobody = command_identity(root_with("65534", "65534"));
  ASSERT_TRUE(nobody.has_value());
  EXPECT_TRUE(nobody->borrowed);
  EXPECT_EQ(nobody->uid, 65534U);
  EXPECT_EQ(nobody->name, "nobody");
  EXPECT_THAT(nobody->groups, Contains(65534U));
}

TEST(CommandIdentity, TakesAUserThatNoDatabaseKnows) {
  const auto unknown = command_identity(root_with("4000000000", "4000000001"));
  ASSERT_TRUE(unknown.has_value());
  EXPECT_EQ(unknown->uid, 4000000000U);
  EXPECT_THAT(unknown->groups, ElementsAre(4000000001U));
  EXPECT_TRUE(unknown->home.empty());
}

TEST(CommandIdentity, IgnoresSudoWhereItCouldOnlyGainSomething) {
  // An ordinary user may set any variable; root in a container without privilege cannot become anybody.
  const auto user = command_identity({.uid = 1000, .gid = 1000, .privileged = false, .sudo_uid = "0", .sudo_gid = "0"});
  EXPECT_EQ(user->uid, 1000U);
  const auto bare = command_identity({.uid = 0, .gid = 0, .privileged = false, .sudo_uid = "1000", .sudo_gid = "1000"});
  EXPECT_EQ(bare->uid, 0U);
  EXPECT_EQ(command_identity(root_with("0", "0"))->uid, 0U);
  EXPECT_FALSE(command_identity(root_with("0", "0"))->borrowed);
}

TEST(CommandIdentity, RefusesWhatIsNoUserNumber) {
  struct Case {
    std::optional<std::string> uid;
    std::optional<std::string> gid;
    const char* reason;
  };
  const std::vector<Case> cases{
      {"", "1", "empty"},
      {"x", "1", "no number"},
      {"-1", "1", "negative"},
      {"+1", "1", "a sign"},
      {" 1", "1", "a space"},
      {"1 ", "1", "a space behind"},
      {"0x10", "1", "hex"},
      {"4294967295", "1", "no change"},
      {"4294967296", "1", "more than 32 bits"},
      {"1000", "", "empty group"},
      {"1000", "staff", "a group name"},
      {"1000", {}, "no group"},
  };
  for (const Case& one : cases) {
    const auto identity = command_identity(root_with(one.uid, one.gid));
    ASSERT_FALSE(identity.has_value()) << one.reason;
    EXPECT_EQ(identity.error().kind, base::ErrorKind::kUsage) << one.reason;
    EXPECT_THAT(identity.error().message, HasSubstr("SUDO_")) << one.reason;
  }
}

TEST(IdentityEnvironment, GivesTheUserHisOwnVariablesBack) {
  const Identity user{.uid = 1000,
                      .gid = 1000,
                      .groups = {},
                      .borrowed = true,
                      .name = "ann",
                      .home = "/users/ann",
                      .shell = "/bin/zsh"};
  const auto environment = identity_environment(
      {"HOME=/root", "USER=root", "LOGNAME=root", "MAIL=/var/mail/root", "HOMER=x", "PATH=/bin"}, user);
  EXPECT_THAT(environment,
              ElementsAre("HOMER=x", "PATH=/bin", "HOME=/users/ann", "USER=ann", "LOGNAME=ann", "SHELL=/bin/zsh"));
}

TEST(IdentityEnvironment, LeavesAnUnborrowedOneAlone) {
  const Identity own{.uid = 0, .gid = 0, .groups = {}, .name = {}, .home = {}, .shell = {}};
  EXPECT_THAT(identity_environment({"HOME=/root", "USER=root"}, own), ElementsAre("HOME=/root", "USER=root"));
}

}  // namespace
}  // namespace soleroute::gateway::jail
