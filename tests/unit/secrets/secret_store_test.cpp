// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/secrets/secret_store.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace soleroute::gateway::secrets {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kValue = "s3cr3t-VALUE";

class SecretStoreTest : public ::testing::Test {
 protected:
  SecretStoreTest() {
    std::string name = fs::temp_directory_path() / "secrets-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~SecretStoreTest() override { fs::remove_all(directory_); }

  void write(const std::string& id, std::string_view bytes, mode_t mode = 0600) const {
    std::ofstream(directory_ / id, std::ios::binary) << bytes;
    ASSERT_EQ(::chmod((directory_ / id).c_str(), mode), 0);
  }
  [[nodiscard]] SecretStore store() const { return SecretStore(directory_); }
  // What read() says is wrong; "" if nothing is.
  [[nodiscard]] std::string fault(std::string_view id) const {
    const auto secret = store().read(id);
    if (secret) return "";
    EXPECT_EQ(secret.error().message.find(kValue), std::string::npos) << "an error never shows a value";
    return secret.error().message;
  }

  fs::path directory_;
};

TEST_F(SecretStoreTest, ReadsTheFileWithoutOneLineEnd) {
  struct Row {
    std::string_view bytes, value;
  };
  for (const auto& row : std::initializer_list<Row>{
           {"abc", "abc"}, {"abc\n", "abc"}, {"abc\r\n", "abc"}, {"a b", "a b"}, {"p\xc3\xa4ss", "p\xc3\xa4ss"}}) {
    write("token", row.bytes);
    const auto secret = store().read("token");
    ASSERT_TRUE(secret) << secret.error().message;
    EXPECT_EQ(secret->view(), row.value);
  }
}

TEST_F(SecretStoreTest, ReadsItAnewForEachUse) {
  write("token", "one");
  EXPECT_EQ(store().read("token")->view(), "one");
  const auto kept = store();
  write("token", "two");
  EXPECT_EQ(kept.read("token")->view(), "two");
  fs::remove(directory_ / "token");
  EXPECT_FALSE(kept.read("token"));
}

// A Secret's volume: everybody may write to its own folder and its names are links; "..data" leads to a folder of root.
TEST_F(SecretStoreTest, ReadsAKubernetesVolumeByItsDataFolder) {
  const fs::path first = directory_ / "..2026_11_30";
  fs::create_directory(first);
  write("..2026_11_30/token", "one", 0440);
  fs::create_directory_symlink("..2026_11_30", directory_ / "..data");
  fs::create_symlink("..data/token", directory_ / "token");
  ASSERT_EQ(::chmod(directory_.c_str(), 01777), 0);
  const SecretStore data(directory_ / "..data");
  ASSERT_TRUE(data.read("token"));
  EXPECT_EQ(data.read("token")->view(), "one");
  EXPECT_NE(fault("token").find("others can write to the secrets directory"), std::string::npos);
  // The cluster replaces the secret: a new folder, and the link leads there.
  fs::create_directory(directory_ / "..2026_12_01");
  write("..2026_12_01/token", "two", 0440);
  fs::remove(directory_ / "..data");
  fs::create_directory_symlink("..2026_12_01", directory_ / "..data");
  EXPECT_EQ(data.read("token")->view(), "two");
}

TEST_F(SecretStoreTest, RefusesWhatCannotBeAHeadersValue) {
  const std::string value(kValue);
  for (const auto& bytes : {std::string(), std::string("\n"), value + "\n\n", value + "\r\n\r\n", value + "\nX: y",
                            value + '\0', "a\rb" + value, value + "\t", value + "\x7f", value + '\r'}) {
    write("token", bytes);
    EXPECT_NE(fault("token"), "") << ::testing::PrintToString(bytes);
  }
  write("token", std::string(kMaxSecretBytes, 'a'));
  EXPECT_EQ(fault("token"), "");
  write("token", std::string(kMaxSecretBytes + 1, 'a'));
  EXPECT_EQ(fault("token"), "secret token: is longer than 8192 bytes");
}

TEST_F(SecretStoreTest, FollowsNoLinkAndOpensNothingButFiles) {
  write("real", kValue);
  EXPECT_EQ(fault("real"), "") << "the control";
  fs::create_symlink("real", directory_ / "link");
  EXPECT_EQ(fault("link"), "secret link: must be an ordinary file, not a symbolic link");
  fs::create_symlink("/etc/hostname", directory_ / "outside");
  EXPECT_NE(fault("outside"), "");
  fs::create_directory(directory_ / "folder");
  EXPECT_EQ(fault("folder"), "secret folder: must be an ordinary file");
  ASSERT_EQ(::mkfifo((directory_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(fault("fifo"), "secret fifo: must be an ordinary file") << "and does not wait for a writer";
  EXPECT_EQ(fault("absent"), "secret absent: no such file in the secrets directory");
}

TEST_F(SecretStoreTest, LeavesItsDirectoryForNoId) {
  write("token", kValue);
  const std::string folder = directory_.filename();
  for (const std::string& id : {"../" + folder + "/token", std::string("./token"), directory_.string() + "/token",
                                std::string(".."), std::string("."), std::string("token\0", 6), std::string()}) {
    EXPECT_NE(fault(id), "") << id;
  }
}

TEST_F(SecretStoreTest, RefusesFilesThatOthersCanWriteOrRead) {
  struct Row {
    mode_t directory, file;
    bool good;
    std::string_view why;
  };
  for (const auto& row : std::initializer_list<Row>{
           {0700, 0600, true, "as it should be"},
           {0700, 0400, true, "read-only"},
           {0700, 0644, true, "nobody else reaches it"},
           {0750, 0640, true, "a group, as volumes of orchestrators have it"},
           {0755, 0600, true, "others see its name alone"},
           {0755, 0644, false, "others can read it"},
           {0711, 0604, false, "others who know its name can read it"},
           {0700, 0620, false, "a group can write it"},
           {0700, 0602, false, "others can write it"},
           {0770, 0600, false, "a group can put another in its place"},
           {0777, 0600, false, "others can put another in its place"},
           {01777, 0600, false, "others can put new ones beside it"},
       }) {
    write("token", kValue, row.file);
    ASSERT_EQ(::chmod(directory_.c_str(), row.directory), 0);
    EXPECT_EQ(fault("token").empty(), row.good) << row.why << ": " << fault("token");
    ASSERT_EQ(::chmod(directory_.c_str(), 0700), 0);
  }
}

TEST_F(SecretStoreTest, RefusesAFileOfAnotherUserThanItsDirectory) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  write("token", kValue);
  ASSERT_EQ(::chown((directory_ / "token").c_str(), 12345, 12345), 0);
  EXPECT_EQ(fault("token"), "secret token: the file and its directory have different owners");
  ASSERT_EQ(::chown(directory_.c_str(), 12345, 12345), 0);
  EXPECT_EQ(fault("token"), "") << "the host user's directory, mounted into a container that is root";
}

TEST_F(SecretStoreTest, SaysWhenThereIsNoDirectory) {
  EXPECT_FALSE(SecretStore("/nonexistent/secrets").read("token"));
  write("token", kValue);
  EXPECT_FALSE(SecretStore(directory_ / "token").read("token")) << "a file is no directory";
}

Secret secret_of(std::string_view text) {
  Secret secret(text.size());
  secret.append(text);
  return secret;
}

TEST(HeaderValue, HasTheFormOfItsKind) {
  policy::HeaderTransform transform{.name = "Authorization", .username = "", .secret = "token"};
  EXPECT_EQ(header_value(transform, secret_of("abc.DEF=="))->view(), "Bearer abc.DEF==");
  transform.form = policy::HeaderForm::kRaw;
  EXPECT_EQ(header_value(transform, secret_of("token abc"))->view(), "token abc");
  transform.form = policy::HeaderForm::kBasic;
  struct Row {
    std::string_view username, password, value;
  };
  for (const auto& row : std::initializer_list<Row>{
           {"Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},  // RFC 7617 section 2
           {"test", "123\xc2\xa3", "Basic dGVzdDoxMjPCow=="},                 // RFC 7617 section 2.1
           {"u", "abc", "Basic dTphYmM="},
           {"u", "abcd", "Basic dTphYmNk"},
       }) {
    transform.username = row.username;
    EXPECT_EQ(header_value(transform, secret_of(row.password))->view(), row.value);
  }
}

TEST(HeaderValue, RefusesWhatWouldBeReadAsSomethingElse) {
  policy::HeaderTransform transform{.name = "X-Key", .username = "", .secret = "token"};
  for (const std::string_view bad : {"a b", " a", "a ", "\xc3\xa4", ""}) {
    EXPECT_FALSE(header_value(transform, secret_of(bad))) << bad;
  }
  transform.form = policy::HeaderForm::kRaw;
  for (const std::string_view bad : {" a", "a ", "\xc3\xa4", ""}) {
    EXPECT_FALSE(header_value(transform, secret_of(bad))) << bad;
  }
}

TEST_F(SecretStoreTest, ChecksEverythingThatAPolicySends) {
  const std::vector<policy::PolicySource> sources{
      {"policy.yaml",
       "domains:\n"
       "  - host: a.test\n"
       "    transform: {request: {headers: {X-Key: {secret: one, "
       "transform: {type: raw}}}}}\n"
       "services:\n"
       "  - {name: github, repos: [o/r], git: {access: read, auth: {secret: "
       "two}}}\n"}};
  const auto policy = policy::Policy::compile(sources);
  ASSERT_TRUE(policy) << policy.error().message;
  write("one", "1");
  auto status = store().check(**policy);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "policy.yaml:5: secret two: no such file in the secrets directory");
  write("two", "2");
  EXPECT_TRUE(store().check(**policy));
  write("one", " 1");
  status = store().check(**policy);
  ASSERT_FALSE(status);
  EXPECT_TRUE(status.error().message.starts_with("policy.yaml:2: secret one: is not a valid header value"))
      << status.error().message;
  EXPECT_TRUE(SecretStore("/nonexistent").check(**policy::Policy::compile({}))) << "no secrets, no directory needed";
}

TEST(Secret, IsGoneFromWhereItWasMovedFrom) {
  Secret one = secret_of("value");
  const Secret other = std::move(one);
  EXPECT_EQ(other.view(), "value");
  EXPECT_EQ(one.view(), "");  // NOLINT(bugprone-use-after-move)
}

}  // namespace
}  // namespace soleroute::gateway::secrets
