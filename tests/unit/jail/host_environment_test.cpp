// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/host_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/support/temporary_folder.h"

namespace soleroute::gateway::jail {
namespace {

using soleroute::testing::TemporaryFolder;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

base::Fd socket_at(const std::string& path) {
  base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return socket;
}

TEST(SocketsToMask, LeavesOutThoseThatAreNamedByAnyPath) {
  const TemporaryFolder folder;
  const base::Fd a = socket_at(folder.path("a"));
  const base::Fd b = socket_at(folder.path("b"));
  std::filesystem::create_symlink("a", folder.path("link"));
  std::filesystem::create_hard_link(folder.path("b"), folder.path("second-name"));
  const std::vector<std::string> bound{folder.path("a"), folder.path("b")};

  EXPECT_THAT(*sockets_to_mask(bound, {}), ElementsAre(bound[0], bound[1]));
  const std::vector<std::string> link{folder.path("link")};
  EXPECT_THAT(*sockets_to_mask(bound, link), ElementsAre(bound[1]));
  const std::vector<std::string> second{folder.path("second-name")};
  EXPECT_THAT(*sockets_to_mask(bound, second), ElementsAre(bound[0]));
}

TEST(SocketsToMask, RefusesANameThatIsNoSocket) {
  const TemporaryFolder folder;
  for (const std::string& path : {folder.write("file", "x"), folder.path("absent"), std::string()}) {
    const std::vector<std::string> kept{path};
    const auto masked = sockets_to_mask({}, kept);
    ASSERT_FALSE(masked.has_value()) << path;
    EXPECT_EQ(masked.error().kind, base::ErrorKind::kUsage);
  }
}

TEST(JailPolicy, IsCompiledFromTheVeryTextThatIsComparedLater) {
  const TemporaryFolder folder;
  const std::string file = folder.write("p.yaml", "domains: [a.example.com]\n");
  const auto loaded = load_jail_policy({file});
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_EQ(loaded->policy->host_count(), 1U);
  EXPECT_THAT(policy_changes(*loaded), IsEmpty());
  folder.write("p.yaml", "domains: [b.example.com]\n");
  EXPECT_THAT(policy_changes(*loaded), ElementsAre(HasSubstr("changed while the command ran")));
  std::filesystem::remove(file);
  EXPECT_THAT(policy_changes(*loaded), ElementsAre(HasSubstr("cannot open ")));
}

TEST(JailPolicy, SaysWhenAnotherFileWouldBeTakenNextTime) {
  const TemporaryFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path(""));
  const auto nothing = load_jail_policy({});
  ASSERT_TRUE(nothing.has_value());
  EXPECT_TRUE(nothing->policy->denies_everything());
  EXPECT_THAT(policy_changes(*nothing), IsEmpty());
  folder.write("policy.yaml", "domains: [a.example.com]\n");
  EXPECT_THAT(policy_changes(*nothing), ElementsAre(HasSubstr("policy.yaml: appeared")));
  const auto second = load_jail_policy({});
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->policy->host_count(), 1U);
  folder.write(".devcontainer/policy.yaml", "");
  EXPECT_THAT(policy_changes(*second), ElementsAre(HasSubstr(".devcontainer/policy.yaml: appeared")));
  std::filesystem::current_path(before);
}

TEST(SayCut, NamesTheFoldersInOneLine) {
  EXPECT_EQ(say_cut({}), "");
  const std::vector<std::string> folders{"/tmp", "/a\nb", "/c", "/d"};
  const std::string said = say_cut(folders);
  EXPECT_NE(said.find("/tmp, /a\\u{000a}b, /c and 1 more"), std::string::npos) << said;
  EXPECT_EQ(said.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace soleroute::gateway::jail
