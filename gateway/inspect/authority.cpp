// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/authority.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "gateway/inspect/certificate_facts.h"
#include "gateway/inspect/pem_text.h"
#include "gateway/inspect/revocation_list.h"

namespace soleroute::gateway::inspect {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::hours kAuthorityLife{24 * 365 * 10};
constexpr int kMinRsaBits = 2048;           // less is refused by clients at OpenSSL's security level 2
constexpr std::size_t kMaxCommonName = 64;  // RFC 5280 appendix A, ub-common-name
constexpr const char* kRotate = "make a new one with 'gateway ca rotate' and let the agents trust it";

std::string short_id(X509& certificate) {
  std::string text;
  for (const unsigned char byte : public_key_id(certificate)) {
    if (text.size() < 8) text += fmt::format("{:02x}", byte);
  }
  return text;
}

bool set_authority_name(X509& certificate) {
  X509_NAME* name = X509_get_subject_name(&certificate);
  return add_name_entry(*name, "CN", "Soleroute CA " + short_id(certificate)) &&
         add_name_entry(*name, "O", "Soleroute") && X509_set_issuer_name(&certificate, name) == 1;
}

base::Status check_key(EVP_PKEY& key) {
  const bool rsa = EVP_PKEY_is_a(&key, "RSA") == 1;
  if (!rsa && EVP_PKEY_is_a(&key, "EC") != 1) return base::usage_error("the key is neither RSA nor EC");
  if (rsa && EVP_PKEY_get_bits(&key) < kMinRsaBits) {
    return base::usage_error(fmt::format("the RSA key has {} bits, and clients refuse less than {}; {}",
                                         EVP_PKEY_get_bits(&key), kMinRsaBits, kRotate));
  }
  return {};
}

base::Status check_belongs(X509& certificate, EVP_PKEY& key) {
  if (X509_check_private_key(&certificate, &key) != 1) {
    (void)crypto_error({});
    return base::usage_error(
        "the certificate does not match the key. Restore a matching pair, or run "
        "'gateway ca rotate'");
  }
  return {};
}

// Whether OpenSSL could fill in everything. The name is the common name too where it fits: some programs show nothing
// else. Not where the CA has the very same name: the leaf would look self-signed.
bool fill_leaf(X509& leaf, X509& issuer, const base::HostName& name, EVP_PKEY& key, LeafUse use) {
  X509_NAME* subject = X509_get_subject_name(&leaf);
  bool named = name.text().size() <= kMaxCommonName && add_name_entry(*subject, "CN", name.text());
  if (named && X509_NAME_cmp(subject, X509_get_subject_name(&issuer)) == 0) {
    X509_NAME_ENTRY_free(X509_NAME_delete_entry(subject, 0));
    named = false;
  }
  if (use == LeafUse::kRefusal) {
    if (!add_name_entry(*subject, "O", "Blocked by policy")) return false;
    named = true;
  }
  return X509_set_version(&leaf, X509_VERSION_3) == 1 && set_random_serial(leaf) &&
         X509_set_issuer_name(&leaf, X509_get_subject_name(&issuer)) == 1 && X509_set_pubkey(&leaf, &key) == 1 &&
         add_leaf_constraint(leaf) && add_key_usage(leaf, KeyUsage::kHandshakes) && add_server_purpose(leaf) &&
         add_own_key_id(leaf) && add_issuer_key_id(leaf, issuer) &&
         (!may_sign_revocation_list(issuer) || add_revocation_list_url(leaf, kRevocationListUrl)) &&
         add_dns_name(leaf, name.text(), !named);  // critical where there is no subject: RFC 5280 section 4.2.1.6
}

}  // namespace

Authority::Authority(KeyPtr key, std::vector<X509Ptr> certificates)
    : key_(std::move(key)), certificates_(std::move(certificates)) {}

base::Status check_authority_certificate(X509& certificate, TimePoint now) {
  // Certificates of version 1, which some take for a CA's, are none here.
  if ((X509_get_extension_flags(&certificate) & EXFLAG_CA) == 0) {
    return base::usage_error(
        fmt::format("the certificate is not that of a CA (basicConstraints CA:TRUE); {}", kRotate));
  }
  if (X509_check_ca(&certificate) != 1) {
    return base::usage_error(fmt::format("the certificate must not sign others (keyUsage); {}", kRotate));
  }
  if (now < valid_from(certificate)) {
    return base::usage_error(fmt::format("the certificate is not valid before {}; is this machine's clock right?",
                                         date_text(valid_from(certificate))));
  }
  if (now >= valid_until(certificate)) {
    return base::usage_error(
        fmt::format("the certificate expired on {}; {}", date_text(valid_until(certificate)), kRotate));
  }
  return {};
}

base::Result<KeyPtr> make_key() {
  char group[] = "P-256";
  KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", group));
  if (!key) return crypto_error("cannot create a key");
  return key;
}

base::Result<Authority> Authority::create(TimePoint now) {
  SR_LET(key, make_key());
  X509Ptr certificate(X509_new());
  const bool filled =
      certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1 && set_random_serial(*certificate) &&
      X509_set_pubkey(certificate.get(), key->get()) == 1 && set_authority_name(*certificate) &&
      set_validity(*certificate, now - kAuthorityBackdate, now + kAuthorityLife) && add_ca_constraint(*certificate) &&
      add_key_usage(*certificate, KeyUsage::kCertificates) && add_server_purpose(*certificate) &&
      add_own_key_id(*certificate) && X509_sign(certificate.get(), key->get(), EVP_sha256()) > 0;
  if (!filled) return crypto_error("cannot create a CA certificate");
  std::vector<X509Ptr> certificates;
  certificates.push_back(std::move(certificate));
  return Authority(std::move(*key), std::move(certificates));
}

base::Result<Authority> Authority::parse(std::string_view pem, TimePoint now) {
  SR_LET(key, parse_private_key(pem));
  SR_LET(certificates, parse_certificates(pem));
  SR_TRY(check_key(**key));
  X509& certificate = *certificates->front();
  SR_TRY(check_belongs(certificate, **key));
  SR_TRY(check_authority_certificate(certificate, now));
  return Authority(std::move(*key), std::move(*certificates));
}

std::string Authority::certificate_pem() const {
  return to_pem(*certificates_.back());
}

base::Result<std::string> Authority::secret_pem() const {
  auto text = private_key_pem(*key_);
  if (!text) return text;
  for (const X509Ptr& certificate : certificates_) *text += to_pem(*certificate);
  return text;
}

base::Result<std::string> Authority::revocation_list(TimePoint now) const {
  if (!may_sign_revocation_list(certificate())) return std::string();
  return sign_revocation_list(certificate(), *key_, now);
}

base::Result<Leaf> Authority::issue(const base::HostName& name, EVP_PKEY& leaf_key, TimePoint now, LeafUse use) const {
  X509& issuer = certificate();
  if (now >= valid_until()) {
    return base::system_error(fmt::format("the CA expired on {}; {}", date_text(valid_until()), kRotate));
  }
  X509Ptr certificate(X509_new());
  const TimePoint from = std::max(now - kLeafBackdate, valid_from(issuer));
  const TimePoint until = std::min(now + kLeafLife, valid_until());
  const bool made = certificate && fill_leaf(*certificate, issuer, name, leaf_key, use) &&
                    set_validity(*certificate, from, until) &&
                    X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0;
  if (!made) return crypto_error(fmt::format("cannot create a certificate for {}", name.text()));
  Leaf leaf;
  leaf.certificate = std::move(certificate);
  if (EVP_PKEY_up_ref(&leaf_key) == 1) leaf.key.reset(&leaf_key);
  // A CA under another: clients may trust only the topmost, which is theirs and is not sent.
  for (std::size_t i = 0; i + 1 < certificates_.size(); ++i) {
    if (X509_up_ref(certificates_[i].get()) == 1) leaf.chain.emplace_back(certificates_[i].get());
  }
  return leaf;
}

}  // namespace soleroute::gateway::inspect
