// CAs of any shape, made with OpenSSL's own configuration language rather than with the code under test, and what
// OpenSSL says of a leaf under one.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <stdexcept>
#include <string>

#include "gateway/inspect/authority.h"
#include "gateway/inspect/pem_text.h"

namespace soleroute::gateway::inspect {

using std::chrono::hours;

inline base::HostName host(const std::string& text) {
  return base::HostName::parse(text).value();
}

struct CaShape {
  std::string key = "EC";  // "RSA", "EC", "ED25519"
  std::size_t bits = 2048;
  std::string common_name = "mitmproxy";
  std::string constraint = "critical,CA:TRUE";
  std::string usage = "critical,keyCertSign,cRLSign";
  bool key_id = true;
  bool of_another_key = false;
  TimePoint from = std::chrono::system_clock::now() - hours(48);
  TimePoint until = std::chrono::system_clock::now() + hours(24 * 3650);
};

inline KeyPtr lab_key(const CaShape& shape) {
  if (shape.key == "RSA") return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", shape.bits));
  char group[] = "P-256";
  if (shape.key == "EC") return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", group));
  return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, shape.key.c_str()));
}

inline void lab_extension(X509& certificate, int nid, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, &certificate, &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) throw std::runtime_error("no extension " + value);
  X509_add_ext(&certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

inline std::string ca_pem(const CaShape& shape) {
  const KeyPtr key = lab_key(shape);
  const KeyPtr other = lab_key({.key = shape.key});
  const X509Ptr certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 4711);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(shape.common_name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  X509_set_pubkey(certificate.get(), shape.of_another_key ? other.get() : key.get());
  using std::chrono::system_clock;
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), system_clock::to_time_t(shape.from));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), system_clock::to_time_t(shape.until));
  if (!shape.constraint.empty()) lab_extension(*certificate, NID_basic_constraints, shape.constraint);
  if (!shape.usage.empty()) lab_extension(*certificate, NID_key_usage, shape.usage);
  if (shape.key_id) lab_extension(*certificate, NID_subject_key_identifier, "hash");
  const bool no_digest = shape.key == "ED25519";
  if (X509_sign(certificate.get(), key.get(), no_digest ? nullptr : EVP_sha256()) == 0) {
    throw std::runtime_error("not signed");
  }
  return private_key_pem(*key).value() + to_pem(*certificate);
}

// What `openssl verify -x509_strict -purpose sslserver -verify_hostname` says: "ok", or the error.
inline std::string verdict(const Leaf& leaf, const std::string& trusted_pem, const std::string& name, TimePoint when) {
  X509_STORE* store = X509_STORE_new();
  const auto roots = parse_certificates(trusted_pem).value();  // not in the loop's head: g++ 12 ends a temporary there
  for (const auto& root : roots) X509_STORE_add_cert(store, root.get());
  STACK_OF(X509)* chain = sk_X509_new_null();
  for (const auto& above : leaf.chain) sk_X509_push(chain, above.get());
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, leaf.certificate.get(), chain);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
  X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_auth_level(parameters, 2);
  X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(when));
  X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), name.size());
  X509_verify_cert(context);
  std::string said = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
  X509_STORE_CTX_free(context);
  sk_X509_free(chain);
  X509_STORE_free(store);
  return said;
}

}  // namespace soleroute::gateway::inspect
