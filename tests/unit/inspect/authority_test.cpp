// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ca_lab.h"
#include "gateway/inspect/certificate_facts.h"

namespace soleroute::gateway::inspect {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

const TimePoint kNow = std::chrono::system_clock::now();

std::string octets(const ASN1_OCTET_STRING* value) {
  if (value == nullptr) return {};
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
          static_cast<std::size_t>(ASN1_STRING_length(value))};
}

std::vector<std::string> dns_names(X509& certificate, int* critical) {
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, critical, nullptr));
  std::vector<std::string> found;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    found.push_back(name->type == GEN_DNS ? octets(name->d.dNSName) : "not a DNS name");
  }
  GENERAL_NAMES_free(names);
  return found;
}

std::string common_name(X509& certificate) {
  char text[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(&certificate), NID_commonName, text, sizeof text);
  return text;
}

Leaf issue(const Authority& authority, const std::string& name, TimePoint now = kNow) {
  const auto key = make_key();
  auto leaf = authority.issue(host(name), **key, now);
  EXPECT_TRUE(leaf.has_value()) << leaf.error().message;
  return std::move(*leaf);
}

std::string long_name(std::size_t length) {
  std::string name(length - 4, 'a');
  for (std::size_t dot = 49; dot + 1 < name.size(); dot += 50) name[dot] = '.';
  return name + ".net";
}

TEST(Authority, MadeHereIsACaOfLeavesAloneWithARandomNameAndSerial) {
  const auto one = Authority::create(kNow);
  const auto two = Authority::create(kNow);
  ASSERT_TRUE(one.has_value() && two.has_value());
  X509& certificate = one->certificate();
  EXPECT_EQ(X509_check_ca(&certificate), 1);
  EXPECT_EQ(X509_get_pathlen(&certificate), 0);
  EXPECT_EQ(X509_get_key_usage(&certificate), static_cast<std::uint32_t>(KU_KEY_CERT_SIGN | KU_CRL_SIGN));
  EXPECT_EQ(X509_check_purpose(&certificate, X509_PURPOSE_SSL_SERVER, 1), 1);
  EXPECT_NE(X509_NAME_cmp(X509_get_subject_name(&certificate), X509_get_subject_name(&two->certificate())), 0);
  EXPECT_NE(ASN1_INTEGER_cmp(X509_get_serialNumber(&certificate), X509_get_serialNumber(&two->certificate())), 0);
  EXPECT_EQ(valid_until(certificate), std::chrono::floor<std::chrono::seconds>(kNow) + hours(24 * 3650));
  const CertificateFacts facts = describe(certificate);
  EXPECT_THAT(facts.subject, MatchesRegex("CN = Soleroute CA [0-9a-f]+, O = Soleroute"));
  EXPECT_EQ(facts.key, "EC P-256");
  EXPECT_THAT(facts.fingerprint, MatchesRegex("([0-9A-F][0-9A-F]:)+[0-9A-F][0-9A-F]"));
}

TEST(Authority, IsTheSameReadBackFromItsText) {
  const auto made = Authority::create(kNow);
  const auto text = made->secret_pem();
  const auto read = Authority::parse(*text, kNow);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(X509_cmp(&made->certificate(), &read->certificate()), 0);
  EXPECT_EQ(read->certificate_pem(), made->certificate_pem());
  EXPECT_THAT(made->certificate_pem(), Not(HasSubstr("PRIVATE KEY")));
}

TEST(Authority, RefusesWhatClientsWouldRefuseOrWhatIsNoCa) {
  const std::string good = ca_pem({});
  const std::string certificate = good.substr(good.find("-----BEGIN CERTIFICATE"));
  const std::string key = good.substr(0, good.find("-----BEGIN CERTIFICATE"));
  const std::string encrypted =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi2pF5BRBcCSgICCAAw\n"
      "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEO==\n-----END ENCRYPTED PRIVATE KEY-----\n";
  const struct {
    std::string pem;
    const char* says;
  } rows[]{
      {"", "no readable private key"},
      {"hello\n", "no readable private key"},
      {certificate, "no readable private key"},
      {key, "no PEM certificate"},
      {key + certificate.substr(0, certificate.size() / 2), "unreadable"},
      {key + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "unreadable"},
      {encrypted + certificate, "private key"},
      {ca_pem({.of_another_key = true}), "does not match the key"},
      {ca_pem({.constraint = "critical,CA:FALSE", .usage = "critical,digitalSignature"}), "not that of a CA"},
      {ca_pem({.constraint = ""}), "not that of a CA"},
      {ca_pem({.usage = "critical,cRLSign"}), "must not sign others"},
      {ca_pem({.from = kNow + hours(1)}), "not valid before"},
      {ca_pem({.until = kNow - hours(1)}), "expired on"},
      {ca_pem({.key = "RSA", .bits = 1024}), "1024 bits"},
      {ca_pem({.key = "ED25519"}), "neither RSA nor EC"},
  };
  for (const auto& row : rows) {
    const auto authority = Authority::parse(row.pem, kNow);
    ASSERT_FALSE(authority.has_value()) << row.says;
    EXPECT_THAT(authority.error().message, HasSubstr(row.says));
    EXPECT_EQ(authority.error().kind, base::ErrorKind::kUsage) << row.says;
  }
  EXPECT_TRUE(Authority::parse(good, kNow).has_value()) << "the control";
  EXPECT_TRUE(Authority::parse(certificate + key, kNow).has_value()) << "in the other order";
}

TEST(Leaf, IsForExactlyTheNameAndVerifiesStrictlyUnderCasOfEveryKind) {
  const std::string cas[] = {Authority::create(kNow)->secret_pem().value(), ca_pem({.key = "RSA"}), ca_pem({}),
                             ca_pem({.key_id = false})};
  for (const std::string& pem : cas) {
    const auto authority = Authority::parse(pem, kNow);
    ASSERT_TRUE(authority.has_value()) << authority.error().message;
    const Leaf leaf = issue(*authority, "api.example.com");
    const std::string trusted = authority->certificate_pem();
    // Without a key identifier of its own, a CA does not pass the strict checks whatever the leaf is like.
    const bool strict = X509_get0_subject_key_id(&authority->certificate()) != nullptr;
    EXPECT_EQ(verdict(leaf, trusted, "api.example.com", kNow), strict ? "ok" : "Missing Subject Key Identifier");
    if (!strict) continue;
    EXPECT_EQ(verdict(leaf, trusted, "www.example.com", kNow), "hostname mismatch");
    EXPECT_EQ(verdict(leaf, trusted, "a.api.example.com", kNow), "hostname mismatch");
    EXPECT_EQ(verdict(leaf, trusted, "api.example.com", kNow + kLeafLife + hours(1)), "certificate has expired");
    EXPECT_EQ(verdict(leaf, trusted, "api.example.com", kNow - kLeafBackdate - hours(1)),
              "certificate is not yet valid");
    EXPECT_NE(verdict(leaf, Authority::create(kNow)->certificate_pem(), "api.example.com", kNow), "ok");
  }
}

TEST(Leaf, IsValidForClientsWhoseClockIsAWeekWrong) {
  const auto made = Authority::create(kNow);
  for (const int days : {-29, -7, 0, 7, 29}) {
    const TimePoint theirs = kNow + hours(24 * days);
    EXPECT_EQ(verdict(issue(*made, "a.example"), made->certificate_pem(), "a.example", theirs), "ok") << days;
  }
  // The longest period that browsers take (CA/Browser Forum, baseline requirements section 6.3.2).
  EXPECT_LT(kLeafBackdate + kLeafLife, hours(398 * 24));
  const auto given = Authority::parse(ca_pem({}), kNow);
  EXPECT_NE(verdict(issue(*given, "a.example"), given->certificate_pem(), "a.example", kNow - hours(24 * 7)), "ok")
      << "control: a CA that begins later is itself not valid yet";
}

std::string der_text(const Authority& authority) {
  const auto der = authority.revocation_list(kNow);
  EXPECT_TRUE(der.has_value());
  return der.value_or("");
}

struct CrlDeleter {
  void operator()(X509_CRL* list) const { X509_CRL_free(list); }
};

TEST(RevocationList, IsEmptySignedByTheCaAndValidForWeeks) {
  for (const std::string& pem : {Authority::create(kNow)->secret_pem().value(), ca_pem({.key = "RSA"})}) {
    const auto authority = Authority::parse(pem, kNow);
    ASSERT_TRUE(authority.has_value()) << authority.error().message;
    const std::string der = der_text(*authority);
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    const std::unique_ptr<X509_CRL, CrlDeleter> list(d2i_X509_CRL(nullptr, &bytes, static_cast<long>(der.size())));
    ASSERT_TRUE(list);
    X509& issuer = authority->certificate();
    EXPECT_EQ(X509_CRL_verify(list.get(), X509_get0_pubkey(&issuer)), 1);
    EXPECT_EQ(X509_NAME_cmp(X509_CRL_get_issuer(list.get()), X509_get_subject_name(&issuer)), 0);
    EXPECT_EQ(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list.get())), -1) << "nothing is revoked";
    time_t in_a_week = std::chrono::system_clock::to_time_t(kNow + hours(24 * 7));
    EXPECT_GT(X509_cmp_time(X509_CRL_get0_nextUpdate(list.get()), &in_a_week), 0);
    time_t now = std::chrono::system_clock::to_time_t(kNow);
    EXPECT_LT(X509_cmp_time(X509_CRL_get0_lastUpdate(list.get()), &now), 0);
  }
}

TEST(RevocationList, IsNamedByLeavesOfACaThatMaySignOne) {
  const auto named = [](const Leaf& leaf) {
    return X509_get_ext_by_NID(leaf.certificate.get(), NID_crl_distribution_points, -1) >= 0;
  };
  EXPECT_TRUE(named(issue(*Authority::create(kNow), "a.example")));
  EXPECT_TRUE(named(issue(*Authority::parse(ca_pem({.usage = ""}), kNow), "a.example"))) << "every use is allowed";
  const auto without = Authority::parse(ca_pem({.usage = "critical,keyCertSign"}), kNow);
  EXPECT_FALSE(named(issue(*without, "a.example")));
  EXPECT_EQ(der_text(*without), "");
}

TEST(Leaf, SaysWhatItIsAndNothingMore) {
  const auto authority = Authority::create(kNow);
  const Leaf leaf = issue(*authority, "api.example.com");
  X509& certificate = *leaf.certificate;
  int critical = -1;
  EXPECT_THAT(dns_names(certificate, &critical), ::testing::ElementsAre("api.example.com"));
  EXPECT_EQ(critical, 0);
  EXPECT_EQ(common_name(certificate), "api.example.com");
  EXPECT_EQ(X509_check_ca(&certificate), 0);
  EXPECT_EQ(X509_get_key_usage(&certificate), static_cast<std::uint32_t>(KU_DIGITAL_SIGNATURE));
  EXPECT_EQ(X509_get_extended_key_usage(&certificate), static_cast<std::uint32_t>(XKU_SSL_SERVER));
  EXPECT_EQ(octets(X509_get0_authority_key_id(&certificate)),
            octets(X509_get0_subject_key_id(&authority->certificate())));
  EXPECT_NE(octets(X509_get0_subject_key_id(&certificate)),
            octets(X509_get0_subject_key_id(&authority->certificate())));
  EXPECT_EQ(X509_check_private_key(&certificate, leaf.key.get()), 1);
  EXPECT_TRUE(leaf.chain.empty());
}

TEST(Leaf, NamesTheIssuersKeyAsTheIssuerDoesEvenWhereThatIsNoHash) {
  const auto authority = Authority::create(kNow);
  // As some tools make them: an identifier that is not the SHA-1 of the key.
  const X509Ptr odd(X509_dup(&authority->certificate()));
  X509_EXTENSION_free(X509_delete_ext(odd.get(), X509_get_ext_by_NID(odd.get(), NID_subject_key_identifier, -1)));
  lab_extension(*odd, NID_subject_key_identifier, "0123456789ABCDEF");
  X509_sign(odd.get(), &authority->key(), EVP_sha256());
  const auto read = Authority::parse(private_key_pem(authority->key()).value() + to_pem(*odd), kNow);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  const Leaf leaf = issue(*read, "api.example.com");
  EXPECT_EQ(octets(X509_get0_authority_key_id(leaf.certificate.get())), "\x01\x23\x45\x67\x89\xAB\xCD\xEF");
  EXPECT_EQ(verdict(leaf, read->certificate_pem(), "api.example.com", kNow), "ok");
}

TEST(Leaf, HasNoCommonNameWhereTheNameDoesNotFit) {
  const auto authority = Authority::create(kNow);
  for (const std::size_t length : {63U, 64U, 65U, 253U}) {
    const std::string name = long_name(length);
    ASSERT_EQ(name.size(), length);
    const Leaf leaf = issue(*authority, name);
    int critical = -1;
    EXPECT_THAT(dns_names(*leaf.certificate, &critical), ::testing::ElementsAre(name));
    EXPECT_EQ(common_name(*leaf.certificate), length <= 64 ? name : "");
    EXPECT_EQ(critical, length <= 64 ? 0 : 1) << "RFC 5280 section 4.2.1.6";
    EXPECT_EQ(verdict(leaf, authority->certificate_pem(), name, kNow), "ok");
  }
}

TEST(Leaf, IsNotTakenForItsIssuerWhereTheCaHasTheVeryName) {
  const auto authority = Authority::parse(ca_pem({.common_name = "ca.example.com"}), kNow);
  ASSERT_TRUE(authority.has_value()) << authority.error().message;
  const Leaf leaf = issue(*authority, "ca.example.com");
  EXPECT_EQ(common_name(*leaf.certificate), "");
  EXPECT_EQ(verdict(leaf, authority->certificate_pem(), "ca.example.com", kNow), "ok");
}

TEST(Leaf, KeepsAnInternationalNameAsItsALabel) {
  const auto authority = Authority::create(kNow);
  const Leaf leaf = issue(*authority, "xn--bcher-kva.example");
  int critical = -1;
  EXPECT_THAT(dns_names(*leaf.certificate, &critical), ::testing::ElementsAre("xn--bcher-kva.example"));
  EXPECT_EQ(verdict(leaf, authority->certificate_pem(), "xn--bcher-kva.example", kNow), "ok");
}

TEST(Leaf, LivesNoLongerThanItsCa) {
  const auto authority = Authority::parse(ca_pem({.from = kNow - hours(1), .until = kNow + hours(2)}), kNow);
  ASSERT_TRUE(authority.has_value()) << authority.error().message;
  const Leaf leaf = issue(*authority, "api.example.com");
  EXPECT_EQ(valid_from(*leaf.certificate), valid_from(authority->certificate()));
  EXPECT_EQ(valid_until(*leaf.certificate), authority->valid_until());
  const auto key = make_key();
  const auto late = authority->issue(host("api.example.com"), **key, kNow + hours(3));
  ASSERT_FALSE(late.has_value());
  EXPECT_THAT(late.error().message, HasSubstr("the CA expired on"));
}

TEST(Leaf, HasASerialOfItsOwnThatIsPositiveAndFitsTwentyOctets) {
  const auto authority = Authority::create(kNow);
  std::set<std::string> serials;
  for (int i = 0; i < 200; ++i) {
    const Leaf leaf = issue(*authority, "api.example.com");
    const ASN1_INTEGER* serial = X509_get0_serialNumber(leaf.certificate.get());
    EXPECT_EQ(ASN1_STRING_type(serial), V_ASN1_INTEGER) << "not negative";
    EXPECT_EQ(ASN1_STRING_length(serial), 20);
    EXPECT_EQ(ASN1_STRING_get0_data(serial)[0] & 0x80, 0);
    serials.insert(octets(serial));
  }
  EXPECT_EQ(serials.size(), 200U);
}

TEST(Leaf, BringsWhatStandsBetweenItAndTheRootThatClientsTrust) {
  // root <- intermediate (the one that signs) <- leaf
  const auto root = Authority::create(kNow);
  const auto key = make_key();
  auto intermediate = X509Ptr(X509_dup(&root->certificate()));
  X509_set_pubkey(intermediate.get(), key->get());
  X509_NAME* name = X509_NAME_new();
  (void)add_name_entry(*name, "CN", "between");
  X509_set_subject_name(intermediate.get(), name);
  X509_NAME_free(name);
  for (const int nid : {NID_subject_key_identifier, NID_basic_constraints}) {
    X509_EXTENSION_free(X509_delete_ext(intermediate.get(), X509_get_ext_by_NID(intermediate.get(), nid, -1)));
  }
  const X509Ptr wide_root(X509_dup(&root->certificate()));
  X509_EXTENSION_free(
      X509_delete_ext(wide_root.get(), X509_get_ext_by_NID(wide_root.get(), NID_basic_constraints, -1)));
  lab_extension(*wide_root, NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(wide_root.get(), &root->key(), EVP_sha256());
  lab_extension(*intermediate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  (void)add_own_key_id(*intermediate);
  (void)add_issuer_key_id(*intermediate, root->certificate());
  X509_sign(intermediate.get(), &root->key(), EVP_sha256());
  const auto authority =
      Authority::parse(private_key_pem(**key).value() + to_pem(*intermediate) + to_pem(*wide_root), kNow);
  ASSERT_TRUE(authority.has_value()) << authority.error().message;
  EXPECT_EQ(authority->certificate_pem(), to_pem(*wide_root));
  const Leaf leaf = issue(*authority, "api.example.com");
  EXPECT_EQ(leaf.chain.size(), 1U);
  EXPECT_EQ(verdict(leaf, to_pem(*wide_root), "api.example.com", kNow), "ok");
}

}  // namespace
}  // namespace soleroute::gateway::inspect
