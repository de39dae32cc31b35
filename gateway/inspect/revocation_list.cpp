// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/revocation_list.h"

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <memory>

namespace soleroute::gateway::inspect {
namespace {

struct ListDeleter {
  void operator()(X509_CRL* list) const { X509_CRL_free(list); }
};
struct TimeDeleter {
  void operator()(ASN1_TIME* time) const { ASN1_TIME_free(time); }
};
struct NumberDeleter {
  void operator()(ASN1_INTEGER* number) const { ASN1_INTEGER_free(number); }
};
using ListPtr = std::unique_ptr<X509_CRL, ListDeleter>;
using TimePtr = std::unique_ptr<ASN1_TIME, TimeDeleter>;
using NumberPtr = std::unique_ptr<ASN1_INTEGER, NumberDeleter>;

std::time_t seconds(TimePoint time) {
  return std::chrono::system_clock::to_time_t(time);
}

bool set_period(X509_CRL& list, TimePoint from, TimePoint until) {
  const TimePtr first(ASN1_TIME_set(nullptr, seconds(from)));
  const TimePtr last(ASN1_TIME_set(nullptr, seconds(until)));
  return first && last && X509_CRL_set1_lastUpdate(&list, first.get()) == 1 &&
         X509_CRL_set1_nextUpdate(&list, last.get()) == 1;
}

bool add_number(X509_CRL& list, TimePoint now) {
  const NumberPtr number(ASN1_INTEGER_new());
  return number && ASN1_INTEGER_set_int64(number.get(), seconds(now)) == 1 &&
         X509_CRL_add1_ext_i2d(&list, NID_crl_number, number.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

bool add_issuer_key_id(X509_CRL& list, X509& issuer) {
  const IssuerKeyPtr id = issuer_key_id(issuer);
  return id && X509_CRL_add1_ext_i2d(&list, NID_authority_key_identifier, id.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

std::string der_of(X509_CRL& list) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_CRL(&list, &bytes);
  if (size <= 0) return {};
  std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

}  // namespace

bool may_sign_revocation_list(X509& issuer) {
  return (X509_get_key_usage(&issuer) & KU_CRL_SIGN) != 0;  // without the extension, every use is allowed
}

base::Result<std::string> sign_revocation_list(X509& issuer, EVP_PKEY& key, TimePoint now) {
  const ListPtr list(X509_CRL_new());
  const TimePoint from = std::max(now - kRevocationListBackdate, valid_from(issuer));
  const bool filled = list && X509_CRL_set_version(list.get(), X509_CRL_VERSION_2) == 1 &&
                      X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(&issuer)) == 1 &&
                      set_period(*list, from, now + kRevocationListLife) && add_issuer_key_id(*list, issuer) &&
                      add_number(*list, now) && X509_CRL_sign(list.get(), &key, EVP_sha256()) > 0;
  std::string der = filled ? der_of(*list) : std::string();
  if (der.empty()) return crypto_error("cannot create a revocation list");
  return der;
}

}  // namespace soleroute::gateway::inspect
