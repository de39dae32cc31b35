// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/certificate_facts.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <array>
#include <ctime>
#include <memory>
#include <string_view>

#include "gateway/inspect/bio.h"

namespace soleroute::gateway::inspect {
namespace {

std::string key_text(X509& certificate) {
  EVP_PKEY* key = X509_get0_pubkey(&certificate);
  if (key == nullptr) return "unknown";
  std::array<char, 64> group{};
  if (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1) {
    const std::string_view name(group.data());
    return name == "prime256v1" ? std::string("EC P-256") : fmt::format("EC {}", name);
  }
  return fmt::format("{} {}", EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
}

std::string subject_text(X509& certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio) return {};
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(&certificate), 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  return length > 0 ? std::string(data, static_cast<std::size_t>(length)) : std::string();
}

std::string fingerprint_text(X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  X509_digest(&certificate, EVP_sha256(), digest.data(), &length);
  std::string text;
  for (unsigned int i = 0; i < length; ++i) text += fmt::format("{}{:02X}", i == 0 ? "" : ":", digest[i]);
  return text;
}

}  // namespace

std::string date_text(TimePoint time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm broken{};
  std::array<char, 32> text{};
  ::gmtime_r(&seconds, &broken);
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &broken)};
}

CertificateFacts describe(X509& certificate) {
  return {.subject = subject_text(certificate),
          .fingerprint = fingerprint_text(certificate),
          .key = key_text(certificate),
          .valid_from = date_text(valid_from(certificate)),
          .valid_until = date_text(valid_until(certificate))};
}

}  // namespace soleroute::gateway::inspect
