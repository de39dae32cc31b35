// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/pem_text.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <utility>

#include "gateway/inspect/bio.h"
#include "gateway/inspect/certificate_parts.h"

namespace soleroute::gateway::inspect {
namespace {

BioPtr reader(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string written(BIO& bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(&bio, &data);
  return length > 0 ? std::string(data, static_cast<std::size_t>(length)) : std::string();
}

// OpenSSL would ask the terminal.
int no_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

}  // namespace

base::Result<KeyPtr> parse_private_key(std::string_view pem) {
  ERR_clear_error();
  const BioPtr bio = reader(pem);
  bool asked = false;
  KeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &asked) : nullptr);
  ERR_clear_error();
  if (key) return key;
  if (asked) {
    return base::usage_error("the key is encrypted; decrypt it first ('openssl pkey -in FILE')");
  }
  return base::usage_error("contains no readable private key (\"-----BEGIN PRIVATE KEY-----\")");
}

base::Result<std::string> private_key_pem(EVP_PKEY& key) {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PrivateKey(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return crypto_error("cannot write the key");
  }
  return written(*bio);
}

base::Result<std::vector<X509Ptr>> parse_certificates(std::string_view pem) {
  ERR_clear_error();
  const BioPtr bio = reader(pem);
  std::vector<X509Ptr> certificates;
  while (bio) {
    X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    certificates.push_back(std::move(certificate));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) return base::usage_error("contains an unreadable certificate");
  if (certificates.empty()) {
    return base::usage_error("contains no PEM certificate (\"-----BEGIN CERTIFICATE-----\")");
  }
  return certificates;
}

std::string to_pem(X509& certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), &certificate) != 1) return {};
  return written(*bio);
}

}  // namespace soleroute::gateway::inspect
