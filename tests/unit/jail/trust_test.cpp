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
#include "gateway/jail/java_stores.h"
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

// Through a channel, as it travels.
base::Result<Trust> handed_over(const Trust& trust) {
  auto ends = Channel::make();
  EXPECT_TRUE(ends.has_value());
  {
    const auto packed = pack_trust(trust);
    EXPECT_TRUE(packed && ends->first.send(*packed));
  }
  const auto heard = ends->second.receive();
  EXPECT_TRUE(heard && *heard);
  return unpack_trust(**heard);
}

TEST_F(Trusting, IsHandedOverWhole) {
  const std::string large(300000, 'x');
  auto trust = make_trust({.roots_pem = large, .ca_pem = certificate("ca"), .environment = {}}, places_);
  ASSERT_TRUE(trust.has_value());
  ASSERT_TRUE(trust->additions.has_value());
  for (const bool with_additions : {true, false}) {
    if (!with_additions) trust->additions.reset();
    const auto arrived = handed_over(*trust);
    ASSERT_TRUE(arrived.has_value()) << arrived.error().message;
    EXPECT_EQ(arrived->bundle->path, trust->bundle->path);
    EXPECT_EQ(arrived->bundle->text, trust->bundle->text);
    EXPECT_EQ(arrived->variables, trust->variables);
    ASSERT_EQ(arrived->additions.has_value(), with_additions);
    if (!with_additions) continue;
    EXPECT_EQ(arrived->additions->directory, trust->additions->directory);
    EXPECT_EQ(arrived->additions->name, trust->additions->name);
    EXPECT_EQ(arrived->additions->text, trust->additions->text);
  }
  trust->stores = {{"/java/cacerts", "store"}, {"/java/other", ""}};
  trust->added_files = {{"/etc/x", "policies/x.json", "{}"}};
  const auto more = handed_over(*trust);
  ASSERT_TRUE(more.has_value()) << more.error().message;
  ASSERT_EQ(more->stores.size(), 2U);
  EXPECT_EQ(more->stores[0].path + more->stores[0].text, "/java/cacertsstore");
  ASSERT_EQ(more->added_files.size(), 1U);
  EXPECT_EQ(more->added_files[0].floor + more->added_files[0].name + more->added_files[0].text,
            "/etc/xpolicies/x.json{}");
  EXPECT_EQ(more->variables, trust->variables);
  const auto nothing = handed_over({});
  ASSERT_TRUE(nothing.has_value());
  EXPECT_FALSE(nothing->bundle || nothing->additions);
  EXPECT_THAT(nothing->variables, IsEmpty());
}

TEST(UnpackTrust, RefusesWhatIsNotWhole) {
  auto packed = pack_trust({.bundle = FileReplacement{"/bundle", "text"}, .additions = {}, .variables = {"A=1"}});
  ASSERT_TRUE(packed.has_value());
  EXPECT_TRUE(unpack_trust(*packed).has_value());
  Message short_of_files{.kind = packed->kind, .value = 0, .text = packed->text, .fds = {}};
  EXPECT_FALSE(unpack_trust(short_of_files).has_value());
  packed->text = "/bundle";
  EXPECT_FALSE(unpack_trust(*packed).has_value());
}

TEST(WithVariables, ReplacesWholeNamesOnly) {
  EXPECT_THAT(with_variables({"A=1", "AB=2", "A=3"}, {"A=4", "C=5"}), ElementsAre("AB=2", "A=4", "C=5"));
}

TEST_F(Trusting, TellsJavaAndBrowsersWhereThereAreSome) {
  const std::string store = folder_.write("cacerts", with_certificates("", "", real_certificate()).value());
  places_.java_stores = {store, absent_};
  const auto trust = make_trust({.roots_pem = {}, .ca_pem = real_certificate(), .environment = {}}, places_);
  ASSERT_TRUE(trust.has_value()) << trust.error().message;
  ASSERT_EQ(trust->stores.size(), 1U) << "one that cannot be read is left as it is";
  EXPECT_EQ(trust->stores[0].path, store);
  EXPECT_THAT(trust->added_files, IsEmpty()) << "browsers were not asked for";
}

}  // namespace
}  // namespace soleroute::gateway::jail
