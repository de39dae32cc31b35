// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/java_stores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "gateway/inspect/authority.h"
#include "gateway/jail/browser_policies.h"
#include "tests/support/temporary_folder.h"

namespace soleroute::gateway::jail {
namespace {

using soleroute::testing::TemporaryFolder;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

std::string certificate() {
  return inspect::Authority::create(std::chrono::system_clock::now())->certificate_pem();
}

int entries_of(const std::string& store) {
  return static_cast<unsigned char>(store.at(11));
}

TEST(JavaStores, GrowByTheCertificatesThatAreAdded) {
  const std::string first = certificate();
  const std::string second = certificate();
  const auto store = with_certificates("not a store", "", first);
  ASSERT_TRUE(store.has_value());
  EXPECT_EQ(entries_of(*store), 1) << "another format gives way to a store of all";
  EXPECT_THAT(*store, HasSubstr(certificates_of(first)[0]));
  const auto grown = with_certificates(*store, "text\n" + second, first);
  ASSERT_TRUE(grown.has_value());
  EXPECT_EQ(entries_of(*grown), 2);
  EXPECT_THAT(*grown, HasSubstr(certificates_of(first)[0]));
  EXPECT_THAT(*grown, HasSubstr(certificates_of(second)[0]));
  EXPECT_THAT(*store, Not(HasSubstr(certificates_of(second)[0]))) << "the control";
}

TEST(JavaStores, HoldNothingThatIsNoCertificate) {
  EXPECT_THAT(certificates_of("hello"), IsEmpty());
  EXPECT_THAT(certificates_of("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"), IsEmpty());
  EXPECT_THAT(certificates_of("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n" + certificate()), SizeIs(1));
}

TEST(JavaStores, AreFoundByJavaHome) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path("jdk/lib/security"));
  const std::string store = folder.write("jdk/lib/security/cacerts", "x");
  EXPECT_THAT(find_java_stores({"JAVA_HOME=" + folder.path("jdk")}), Contains(store));
  EXPECT_THAT(find_java_stores({"JAVA_HOMES=" + folder.path("jdk"), "JAVA_HOME=jdk"}), Not(Contains(store)));
}

TEST(JavaStores, AreBoundedAndEachOnce) {
  const TemporaryFolder folder;
  for (int i = 0; i < 20; ++i) {
    const std::string jdk = ".jdks/" + std::to_string(i) + "/lib/security";
    std::filesystem::create_directories(folder.path(jdk));
    folder.write(jdk + "/cacerts", "x");
  }
  EXPECT_THAT(find_java_stores({"HOME=" + folder.path("")}).size(), kMaxJavaStores);
}

TEST(BrowserPolicies, AreForBrowsersThatAreInstalled) {
  const TemporaryFolder folder;
  const std::string root = folder.path("root");
  std::filesystem::create_directories(root);
  EXPECT_THAT(browser_policies(certificate(), certificate(), root).files, IsEmpty());
  std::filesystem::create_directories(root + "/etc/chromium");
  std::filesystem::create_directories(root + "/usr/lib/firefox-esr/distribution");
  const auto files = browser_policies(certificate(), certificate(), root).files;
  ASSERT_THAT(files, SizeIs(3));
  EXPECT_EQ(files[0].floor + "/" + files[0].name, root + "/etc/chromium/policies/managed/soleroute.json");
  EXPECT_THAT(files[0].text, HasSubstr("{\"CACertificates\":[\"MII"));
  EXPECT_EQ(files[2].name, "distribution/policies.json");
  EXPECT_THAT(files[2].text, HasSubstr(root + "/usr/lib/firefox-esr/distribution/soleroute-0.der"));
  folder.write("root/usr/lib/firefox-esr/distribution/policies.json", "{}");
  EXPECT_THAT(browser_policies(certificate(), certificate(), root).files, SizeIs(1))
      << "a policy of the machine's stays";
  EXPECT_THAT(browser_policies("no certificate", "no certificate", root).files, IsEmpty());
}

TEST(BrowserPolicies, GiveFirefoxEachCertificateOnceAndABoundedNumber) {
  const TemporaryFolder folder;
  const std::string root = folder.path("root");
  std::filesystem::create_directories(root + "/etc/chromium");
  std::filesystem::create_directories(root + "/usr/lib/firefox");
  const auto pem = [](const std::string& body) {
    return "-----BEGIN CERTIFICATE-----\n" + body + "\n-----END CERTIFICATE-----\n";
  };
  std::string many;
  for (int i = 10; i < 10 + static_cast<int>(kMaxFirefoxCertificates); ++i) many += pem("AA" + std::to_string(i));
  const auto most = browser_policies(many + pem("BBBB"), many + many, root);
  EXPECT_THAT(most.files, SizeIs(kMaxFirefoxCertificates + 2));
  EXPECT_FALSE(most.without_firefox);
  const auto more = browser_policies(many + pem("BBBB"), many + pem("BBBB"), root);
  EXPECT_THAT(more.files, SizeIs(1)) << "Chromium's takes any number";
  EXPECT_TRUE(more.without_firefox);
}

}  // namespace
}  // namespace soleroute::gateway::jail
