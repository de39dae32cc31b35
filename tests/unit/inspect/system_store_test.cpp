// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/system_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "ca_lab.h"
#include "tests/support/temporary_folder.h"

namespace soleroute::gateway::inspect {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string new_certificate() {
  return Authority::create(std::chrono::system_clock::now())->certificate_pem();
}

class Storing : public ::testing::Test {
 protected:
  void program(const std::string& path) {
    folder_.write(path, "#!/bin/sh\n");
    fs::permissions(folder_.path(path), fs::perms::owner_all);
  }
  soleroute::testing::TemporaryFolder folder_;
  std::string root_ = folder_.path("");
};

TEST_F(Storing, FindsTheStoreOfEachSystemByWhatIsThere) {
  const struct {
    const char* system;
    const char* directory;
    const char* program;
    const char* anchors;
  } rows[]{
      {"Debian, minimal", "usr", "usr/sbin/update-ca-certificates", "/usr/local/share/ca-certificates"},
      {"Fedora", "etc/pki/ca-trust/source/anchors", "usr/bin/update-ca-trust", "/etc/pki/ca-trust/source/anchors"},
      {"openSUSE", "etc/pki/trust/anchors", "usr/sbin/update-ca-certificates", "/etc/pki/trust/anchors"},
      {"Arch", "etc/ca-certificates/trust-source/anchors", "usr/bin/update-ca-trust",
       "/etc/ca-certificates/trust-source/anchors"},
  };
  for (const auto& row : rows) {
    const std::string root = folder_.path(row.system);
    fs::create_directories(root + "/" + row.directory);
    program(std::string(row.system) + "/" + row.program);
    const auto store = find_system_store(root);
    ASSERT_TRUE(store.has_value()) << row.system;
    EXPECT_EQ(store->anchors, root + row.anchors);
    EXPECT_EQ(store->program, root + "/" + row.program);
  }
  fs::create_directories(folder_.path("none/usr"));
  EXPECT_FALSE(find_system_store(folder_.path("none")).has_value());
}

TEST_F(Storing, PutsOneCertificateIntoADirectoryInThePlaceOfTheLast) {
  const std::string anchors = folder_.path("a/anchors");
  const std::string first = new_certificate();
  const std::string second = new_certificate();
  EXPECT_EQ(add_anchor(anchors, first), Added::kNow);
  EXPECT_EQ(add_anchor(anchors, first), Added::kBefore);
  EXPECT_EQ(add_anchor(anchors, second), Added::kNow);
  EXPECT_EQ(content(anchors + "/soleroute-ca.crt"), second);
}

TEST_F(Storing, AppendsToABundleOnce) {
  std::string others = new_certificate() + new_certificate();
  others.pop_back();  // no final newline
  const std::string bundle = folder_.write("bundle.pem", others);
  const std::string mine = new_certificate();
  EXPECT_EQ(add_to_bundle(bundle, mine), Added::kNow);
  EXPECT_EQ(content(bundle), others + "\n" + mine);
  EXPECT_EQ(add_to_bundle(bundle, mine), Added::kBefore);
  EXPECT_EQ(content(bundle), others + "\n" + mine);
  EXPECT_EQ(add_to_bundle(folder_.path("new/bundle.pem"), mine), Added::kNow);
  EXPECT_EQ(content(folder_.path("new/bundle.pem")), mine);
}

TEST_F(Storing, LeavesAloneWhatIsNoBundle) {
  const std::string text = folder_.write("notes.txt", "my notes\n");
  const auto added = add_to_bundle(text, new_certificate());
  ASSERT_FALSE(added.has_value());
  EXPECT_THAT(added.error().message, HasSubstr("notes.txt: contains no PEM certificate"));
  EXPECT_EQ(content(text), "my notes\n");
  EXPECT_FALSE(add_to_bundle(root_, new_certificate()).has_value()) << "a directory";
}

TEST_F(Storing, SaysWhetherTheStoresProgramDidItsWork) {
  EXPECT_TRUE(update_store({.anchors = {}, .program = "/bin/true"}).has_value());
  for (const char* failing : {"/bin/false", "/nonexistent"}) {
    const auto updated = update_store({.anchors = {}, .program = failing});
    ASSERT_FALSE(updated.has_value()) << failing;
    EXPECT_THAT(updated.error().message, HasSubstr(failing));
    EXPECT_EQ(updated.error().kind, base::ErrorKind::kSystem);
  }
}

}  // namespace
}  // namespace soleroute::gateway::inspect
