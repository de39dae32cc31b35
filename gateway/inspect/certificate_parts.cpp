// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/certificate_parts.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <memory>
#include <utility>

namespace soleroute::gateway::inspect {
namespace {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* handle) const {
    Free(handle);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, FreeWith<Free>>;

using BignumPtr = Owned<BIGNUM, BN_free>;
using ConstraintPtr = Owned<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>;
using BitsPtr = Owned<ASN1_BIT_STRING, ASN1_BIT_STRING_free>;
using OctetsPtr = Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;
using PurposesPtr = Owned<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;
using NamesPtr = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;
using NamePtr = Owned<GENERAL_NAME, GENERAL_NAME_free>;
using ExtensionPtr = Owned<X509_EXTENSION, X509_EXTENSION_free>;

constexpr int kSerialBits = 159;  // 20 octets with a sign bit that is clear
constexpr int kDerTrue = 0xff;    // X.690 section 11.1
// RFC 5280 section 4.2.1.3.
constexpr int kDigitalSignature = 0;
constexpr int kKeyCertSign = 5;
constexpr int kCrlSign = 6;

bool add_extension(X509& certificate, int nid, void* value, bool critical) {
  return X509_add1_ext_i2d(&certificate, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) == 1;
}

bool add_constraint(X509& certificate, bool is_ca) {
  const ConstraintPtr constraint(BASIC_CONSTRAINTS_new());
  if (!constraint) return false;
  constraint->ca = is_ca ? kDerTrue : 0;
  if (is_ca) {
    constraint->pathlen = ASN1_INTEGER_new();
    if (constraint->pathlen == nullptr || ASN1_INTEGER_set(constraint->pathlen, 0) != 1) return false;
  }
  return add_extension(certificate, NID_basic_constraints, constraint.get(), true);
}

TimePoint time_of(const ASN1_TIME* time) {
  std::tm broken{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &broken) != 1) return {};
  return std::chrono::system_clock::from_time_t(::timegm(&broken));
}

}  // namespace

bool set_random_serial(X509& certificate) {
  const BignumPtr serial(BN_new());
  return serial && BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(&certificate)) != nullptr;
}

bool set_validity(X509& certificate, TimePoint from, TimePoint until) {
  using std::chrono::system_clock;
  return ASN1_TIME_set(X509_getm_notBefore(&certificate), system_clock::to_time_t(from)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(&certificate), system_clock::to_time_t(until)) != nullptr;
}

bool add_name_entry(X509_NAME& name, const char* what, std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  return X509_NAME_add_entry_by_txt(&name, what, MBSTRING_UTF8, bytes, static_cast<int>(text.size()), -1, 0) == 1;
}

bool add_ca_constraint(X509& certificate) {
  return add_constraint(certificate, true);
}

bool add_leaf_constraint(X509& certificate) {
  return add_constraint(certificate, false);
}

bool add_key_usage(X509& certificate, KeyUsage usage) {
  const BitsPtr bits(ASN1_BIT_STRING_new());
  if (!bits) return false;
  const bool set = usage == KeyUsage::kHandshakes ? ASN1_BIT_STRING_set_bit(bits.get(), kDigitalSignature, 1) == 1
                                                  : ASN1_BIT_STRING_set_bit(bits.get(), kKeyCertSign, 1) == 1 &&
                                                        ASN1_BIT_STRING_set_bit(bits.get(), kCrlSign, 1) == 1;
  return set && add_extension(certificate, NID_key_usage, bits.get(), true);
}

bool add_server_purpose(X509& certificate) {
  const PurposesPtr purposes(sk_ASN1_OBJECT_new_null());
  // Objects of the built-in table are not owned by anybody.
  return purposes && sk_ASN1_OBJECT_push(purposes.get(), OBJ_nid2obj(NID_server_auth)) > 0 &&
         add_extension(certificate, NID_ext_key_usage, purposes.get(), false);
}

bool add_own_key_id(X509& certificate) {
  const OctetsPtr id(ASN1_OCTET_STRING_new());
  const auto digest = public_key_id(certificate);
  return id && !digest.empty() &&
         ASN1_OCTET_STRING_set(id.get(), digest.data(), static_cast<int>(digest.size())) == 1 &&
         add_extension(certificate, NID_subject_key_identifier, id.get(), false);
}

void IssuerKeyDeleter::operator()(AUTHORITY_KEYID* id) const {
  AUTHORITY_KEYID_free(id);
}

IssuerKeyPtr issuer_key_id(X509& issuer) {
  IssuerKeyPtr id(AUTHORITY_KEYID_new());
  if (!id) return nullptr;
  if (const ASN1_OCTET_STRING* own = X509_get0_subject_key_id(&issuer)) {
    id->keyid = ASN1_OCTET_STRING_dup(own);
  } else {
    const auto digest = public_key_id(issuer);
    id->keyid = ASN1_OCTET_STRING_new();
    if (digest.empty() || id->keyid == nullptr ||
        ASN1_OCTET_STRING_set(id->keyid, digest.data(), static_cast<int>(digest.size())) != 1) {
      return nullptr;
    }
  }
  return id->keyid != nullptr ? std::move(id) : nullptr;
}

bool add_issuer_key_id(X509& certificate, X509& issuer) {
  const IssuerKeyPtr id = issuer_key_id(issuer);
  return id && add_extension(certificate, NID_authority_key_identifier, id.get(), false);
}

bool add_revocation_list_url(X509& certificate, std::string_view url) {
  X509V3_CTX context{};
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, nullptr, &certificate, nullptr, nullptr, 0);
  const std::string value = fmt::format("URI:{}", url);
  const ExtensionPtr extension(X509V3_EXT_nconf_nid(nullptr, &context, NID_crl_distribution_points, value.c_str()));
  return extension && X509_add_ext(&certificate, extension.get(), -1) == 1;
}

bool add_dns_name(X509& certificate, std::string_view name, bool critical) {
  const NamesPtr names(sk_GENERAL_NAME_new_null());
  NamePtr entry(GENERAL_NAME_new());
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  if (text == nullptr) return false;
  const bool set = ASN1_STRING_set(text, name.data(), static_cast<int>(name.size())) == 1;
  if (!set || !names || !entry) {
    ASN1_IA5STRING_free(text);
    return false;
  }
  GENERAL_NAME_set0_value(entry.get(), GEN_DNS, text);
  if (sk_GENERAL_NAME_push(names.get(), entry.get()) <= 0) return false;
  (void)entry.release();  // the list's now
  return add_extension(certificate, NID_subject_alt_name, names.get(), critical);
}

std::vector<unsigned char> public_key_id(X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (X509_pubkey_digest(&certificate, EVP_sha1(), digest.data(), &length) != 1) return {};
  return {digest.begin(), digest.begin() + length};
}

TimePoint valid_from(X509& certificate) {
  return time_of(X509_get0_notBefore(&certificate));
}

TimePoint valid_until(X509& certificate) {
  return time_of(X509_get0_notAfter(&certificate));
}

std::unexpected<base::Error> crypto_error(std::string what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return base::system_error(reason == nullptr ? std::move(what) : fmt::format("{}: {}", what, reason));
}

}  // namespace soleroute::gateway::inspect
