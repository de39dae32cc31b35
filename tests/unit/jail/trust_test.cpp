// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/trust.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "gateway/inspect/authority.h"
#include "tests/support/temporary_folder.h"

namespace soleroute::gateway::jail {
namespace {

using soleroute::testing::TemporaryFolder;

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string certificate(const std::string& body) {
  return "-----BEGIN CERTIFICATE-----\n" + body + "\n-----END CERTIFICATE-----\n";
}

class Trusting : public ::testing::Test {
 protected:
  Trusting() { std::filesystem::create_directory(anchors_); }

  // A certificate that can be parsed.
  static std::string real_certificate() {
    return inspect::Authority::create(std::chrono::system_clock::now())->certificate_pem();
  }

  TemporaryFolder folder_;
  std::string bundle_ = folder_.write("certs/bundle.crt", certificate("system"));
  std::string absent_ = folder_.path("absent.crt");
  std::string anchors_ = folder_.path("anchors");
  std::array<std::string_view, 2> bundles_{absent_, bundle_};
  std::array<std::string_view, 2> directories_{absent_, anchors_};
  TrustPlaces places_{.bundles = bundles_, .anchors = directories_};
  TrustPlaces no_bundle_{.bundles = std::span(bundles_).first(1), .anchors = directories_};
  TrustPlaces no_anchors_{.bundles = bundles_, .anchors = std::span(directories_).first(1)};
};

TEST_F(Trusting, ChangesNothingWhereNothingIsAdded) {
  const auto trust = make_trust({.roots_pem = {}, .ca_pem = {}, .environment = {"SSL_CERT_FILE=/mine"}}, places_);
  ASSERT_TRUE(trust.has_value());
  EXPECT_FALSE(trust->bundle.has_value());
  EXPECT_FALSE(trust->additions.has_value());
  EXPECT_THAT(trust->variables, IsEmpty());
}

TEST_F(Trusting, AddsToTheFirstBundleThatIsThere) {
  const auto trust =
      make_trust({.roots_pem = certificate("mine"), .ca_pem = certificate("ca"), .environment = {}}, places_);
  ASSERT_TRUE(trust.has_value()) << trust.error().message;
  ASSERT_TRUE(trust->bundle.has_value());
  EXPECT_EQ(trust->bundle->path, bundle_);
  EXPECT_EQ(trust->bundle->text, certificate("system") + certificate("ca") + certificate("mine"));
  EXPECT_THAT(trust->variables, Contains("SSL_CERT_FILE=" + bundle_));
  EXPECT_THAT(trust->variables, Contains("SSL_CERT_DIR=" + folder_.path("certs")));
}

TEST_F(Trusting, GivesNodeWhatIsAddedAlone) {
  const TrustRequest request{.roots_pem = certificate("mine"), .ca_pem = certificate("ca"), .environment = {}};
  const auto trust = make_trust(request, places_);
  ASSERT_TRUE(trust.has_value() && trust->additions.has_value());
  EXPECT_EQ(trust->additions->directory, anchors_);
  EXPECT_EQ(trust->additions->text, certificate("ca") + certificate("mine"));
  EXPECT_THAT(trust->variables, Contains("NODE_EXTRA_CA_CERTS=" + anchors_ + "/" + trust->additions->name));
  const auto without = make_trust(request, no_anchors_);
  ASSERT_TRUE(without.has_value());
  EXPECT_FALSE(without->additions.has_value());
  EXPECT_THAT(without->variables, Contains("NODE_EXTRA_CA_CERTS=" + bundle_));
}

TEST_F(Trusting, KeepsWhatTheVariablesNamedBefore) {
  const std::string company = real_certificate();
  const std::string file = folder_.write("company.pem", company);
  const auto trust = make_trust({.roots_pem = {},
                                 .ca_pem = certificate("ca"),
                                 .environment = {"REQUESTS_CA_BUNDLE=" + file, "NODE_EXTRA_CA_CERTS=" + file,
                                                 "SSL_CERT_FILE=" + bundle_, "PIP_CERT=" + absent_, "HOME=" + file,
                                                 "CURL_CA_BUNDLE=" + folder_.write("notes", "no certificate")}},
                                places_);
  ASSERT_TRUE(trust.has_value()) << trust.error().message;
  EXPECT_EQ(trust->bundle->text, certificate("system") + certificate("ca") + company);
  EXPECT_EQ(trust->additions->text, certificate("ca") + company);
}

TEST_F(Trusting, AddsToABundleWithoutAFinalNewline) {
  std::string text = certificate("system");
  text.pop_back();
  folder_.write("certs/bundle.crt", text);
  const auto trust = make_trust({.roots_pem = {}, .ca_pem = certificate("ca"), .environment = {}}, places_);
  ASSERT_TRUE(trust.has_value());
  EXPECT_EQ(trust->bundle->text, certificate("system") + certificate("ca"));
}

TEST_F(Trusting, SaysWhatToInstallWhereTheSystemHasNoBundleForWhatWasAskedFor) {
  const auto trust =
      make_trust({.roots_pem = certificate("x"), .ca_pem = certificate("ca"), .environment = {}}, no_bundle_);
  ASSERT_FALSE(trust.has_value());
  EXPECT_EQ(trust.error().kind, base::ErrorKind::kSystem);
  EXPECT_THAT(trust.error().message, HasSubstr("ca-certificates"));
}

TEST_F(Trusting, GoesOnWithoutABundleWhereOnlyTheCaWouldBeAdded) {
  const auto trust = make_trust({.roots_pem = {}, .ca_pem = certificate("ca"), .environment = {}}, no_bundle_);
  ASSERT_TRUE(trust.has_value()) << trust.error().message;
  EXPECT_FALSE(trust->bundle.has_value());
  EXPECT_THAT(trust->variables, IsEmpty());
}

TEST(WithVariables, ReplacesWholeNamesOnly) {
  EXPECT_THAT(with_variables({"A=1", "AB=2", "A=3"}, {"A=4", "C=5"}), ElementsAre("AB=2", "A=4", "C=5"));
}

}  // namespace
}  // namespace soleroute::gateway::jail
