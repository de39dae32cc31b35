// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/trust.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

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
  TemporaryFolder folder_;
  std::string bundle_ = folder_.write("certs/bundle.crt", certificate("system"));
  std::string absent_ = folder_.path("absent.crt");
  std::array<std::string_view, 2> bundles_{absent_, bundle_};
};

TEST_F(Trusting, ChangesNothingWhereNothingIsAdded) {
  const auto trust = make_trust({}, bundles_);
  ASSERT_TRUE(trust.has_value());
  EXPECT_FALSE(trust->bundle.has_value());
  EXPECT_THAT(trust->variables, IsEmpty());
}

TEST_F(Trusting, AddsToTheFirstBundleThatIsThere) {
  const std::string more = folder_.write("more.pem", certificate("mine"));
  const auto trust = make_trust({.files = {more}, .ca_pem = certificate("ca")}, bundles_);
  ASSERT_TRUE(trust.has_value()) << trust.error().message;
  ASSERT_TRUE(trust->bundle.has_value());
  EXPECT_EQ(trust->bundle->path, bundle_);
  EXPECT_EQ(trust->bundle->text, certificate("system") + certificate("ca") + certificate("mine"));
  EXPECT_THAT(trust->variables, Contains("SSL_CERT_FILE=" + bundle_));
  EXPECT_THAT(trust->variables, Contains("NODE_EXTRA_CA_CERTS=" + bundle_));
  EXPECT_THAT(trust->variables, Contains("SSL_CERT_DIR=" + folder_.path("certs")));
}

TEST_F(Trusting, JoinsFilesWithoutAFinalNewline) {
  std::string text = certificate("mine");
  text.pop_back();
  const auto trust =
      make_trust({.files = {folder_.write("a.pem", text), folder_.write("b.pem", text)}, .ca_pem = {}}, bundles_);
  ASSERT_TRUE(trust.has_value());
  EXPECT_THAT(trust->bundle->text, HasSubstr("-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----"));
}

TEST_F(Trusting, RefusesAFileWithoutACertificate) {
  const struct {
    const char* text;
    const char* reason;
  } cases[]{{"", "empty"},
            {"hello", "text"},
            {"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "a key"},
            {"-----BEGIN CERTIFICATE-----\nabc", "cut"}};
  for (const auto& one : cases) {
    const auto trust = make_trust({.files = {folder_.write("x.pem", one.text)}, .ca_pem = {}}, bundles_);
    ASSERT_FALSE(trust.has_value()) << one.reason;
    EXPECT_EQ(trust.error().kind, base::ErrorKind::kUsage) << one.reason;
    EXPECT_THAT(trust.error().message, HasSubstr("x.pem")) << one.reason;
  }
  EXPECT_FALSE(make_trust({.files = {folder_.path("none.pem")}, .ca_pem = {}}, bundles_).has_value());
}

TEST_F(Trusting, SaysWhatToInstallWhereTheSystemHasNoBundle) {
  const std::array<std::string_view, 1> none{absent_};
  const auto trust = make_trust({.files = {folder_.write("a.pem", certificate("x"))}, .ca_pem = {}}, none);
  ASSERT_FALSE(trust.has_value());
  EXPECT_EQ(trust.error().kind, base::ErrorKind::kSystem);
  EXPECT_THAT(trust.error().message, HasSubstr("ca-certificates"));
}

TEST(WithVariables, ReplacesWholeNamesOnly) {
  EXPECT_THAT(with_variables({"A=1", "AB=2", "A=3"}, {"A=4", "C=5"}), ElementsAre("AB=2", "A=4", "C=5"));
}

}  // namespace
}  // namespace soleroute::gateway::jail
