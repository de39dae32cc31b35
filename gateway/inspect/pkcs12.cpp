// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/pkcs12.h"

#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include <memory>

namespace soleroute::gateway::inspect {
namespace {

struct Pkcs12Deleter {
  void operator()(PKCS12* content) const { PKCS12_free(content); }
};

constexpr int kUnencrypted = -1;
constexpr const char* kFriendlyName = "Soleroute CA";

}  // namespace

base::Result<std::string> to_pkcs12(const Authority& authority, Pkcs12Content content) {
  EVP_PKEY* key = content == Pkcs12Content::kCertificateAndKey ? &authority.key() : nullptr;
  const std::unique_ptr<PKCS12, Pkcs12Deleter> p12(PKCS12_create(nullptr, kFriendlyName, key, &authority.certificate(),
                                                                 nullptr, kUnencrypted, kUnencrypted, 0, 0, 0));
  unsigned char* der = nullptr;
  const int length = p12 ? i2d_PKCS12(p12.get(), &der) : -1;
  if (length <= 0) return crypto_error("cannot create a PKCS #12 file");
  std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_clear_free(der, static_cast<std::size_t>(length));
  return text;
}

}  // namespace soleroute::gateway::inspect
