// A certificate authority of tests, and certificates right or wrong as the test wants them.
// Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>
#include <utility>
#include <vector>

#include "gateway/inspect/leaf.h"

namespace soleroute::testing {

using gateway::inspect::KeyPtr;
using gateway::inspect::X509Ptr;

struct Issued {
  X509Ptr certificate;
  KeyPtr key;
};

inline constexpr long kDay = 24L * 3600;

struct Wanted {
  std::string common_name = "a test";
  std::string alternative_names{};  // "DNS:a.test, DNS:*.b.test"; empty: the extension is absent
  long from = -kDay;                // seconds from now
  long until = 30 * kDay;
  std::string basic_constraints = "critical,CA:FALSE";
  std::string usage = "critical,digitalSignature";
  std::string extended_usage = "serverAuth";
  std::string name_constraints{};
  int rsa_bits = 0;  // 0: P-256
  const EVP_MD* digest = EVP_sha256();
};

class TestAuthority {
 public:
  explicit TestAuthority(std::string name = "Test root") : TestAuthority(nullptr, as_authority(std::move(name))) {}
  // An intermediate one.
  TestAuthority(const TestAuthority& above, Wanted wanted) : TestAuthority(&above, std::move(wanted)) {}

  static Wanted as_authority(std::string name) {
    Wanted wanted{.common_name = std::move(name)};
    wanted.basic_constraints = "critical,CA:TRUE";
    wanted.usage = "critical,keyCertSign,cRLSign";
    wanted.extended_usage = "";
    return wanted;
  }

  [[nodiscard]] Issued issue(const Wanted& wanted) const {
    return made(wanted, self_.certificate.get(), self_.key.get());
  }
  [[nodiscard]] Issued issue_for(const std::string& name) const {
    return issue({.common_name = name, .alternative_names = "DNS:" + name});
  }
  // Signed by itself.
  [[nodiscard]] static Issued lonely(const Wanted& wanted) { return made(wanted, nullptr, nullptr); }

  [[nodiscard]] X509* certificate() const { return self_.certificate.get(); }
  [[nodiscard]] EVP_PKEY* key() const { return self_.key.get(); }
  [[nodiscard]] std::string pem() const { return pem_of(certificate()); }
  [[nodiscard]] static std::string pem_of(X509* certificate) {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    std::string out(bytes, static_cast<std::size_t>(size));
    BIO_free(bio);
    return out;
  }

 private:
  TestAuthority(const TestAuthority* above, const Wanted& wanted)
      : self_(
            made(wanted, above ? above->self_.certificate.get() : nullptr, above ? above->self_.key.get() : nullptr)) {}

  static void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
    if (value.empty()) return;
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  static Issued made(const Wanted& wanted, X509* issuer, EVP_PKEY* signer) {
    static long serial = 1000;
    Issued out;
    std::string curve = "P-256";
    out.key.reset(wanted.rsa_bits > 0
                      ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(wanted.rsa_bits))
                      : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve.data()));
    out.certificate.reset(X509_new());
    X509* certificate = out.certificate.get();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), wanted.from);
    X509_gmtime_adj(X509_getm_notAfter(certificate), wanted.until);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wanted.common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : name);
    X509_set_pubkey(certificate, out.key.get());
    X509* above = issuer ? issuer : certificate;
    extend(certificate, above, NID_basic_constraints, wanted.basic_constraints);
    extend(certificate, above, NID_key_usage, wanted.usage);
    extend(certificate, above, NID_ext_key_usage, wanted.extended_usage);
    extend(certificate, above, NID_subject_alt_name, wanted.alternative_names);
    extend(certificate, above, NID_name_constraints, wanted.name_constraints);
    extend(certificate, above, NID_subject_key_identifier, "hash");
    X509_sign(certificate, signer ? signer : out.key.get(), wanted.digest);
    return out;
  }

  Issued self_;
};

}  // namespace soleroute::testing
