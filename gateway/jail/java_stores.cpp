// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/java_stores.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <limits>
#include <memory>
#include <system_error>

namespace soleroute::gateway::jail {
namespace {

// The format: sun.security.provider.JavaKeyStore of the JDK. Numbers are big-endian.
constexpr std::uint32_t kMagic = 0xfeedfeed;
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kTrustedCertificate = 2;
constexpr std::string_view kType = "X.509";
constexpr std::size_t kHeader = 12;  // magic, version, number of entries
constexpr std::size_t kDigest = 20;  // SHA-1
constexpr std::string_view kPassword = "changeit";
constexpr std::string_view kSalt = "Mighty Aphrodite";

constexpr std::string_view kStoreBelowHome = "/lib/security/cacerts";
constexpr std::array<std::string_view, 3> kSystemStores{"/etc/ssl/certs/java/cacerts", "/etc/pki/java/cacerts",
                                                        "/etc/pki/ca-trust/extracted/java/cacerts"};
constexpr std::array<std::string_view, 3> kJdkFolders{"/usr/lib/jvm", "/opt/java", "/usr/java"};
constexpr std::array<std::string_view, 2> kJdkFoldersOfHome{"/.sdkman/candidates/java", "/.jdks"};

void append_number(std::string& out, std::uint64_t number, std::size_t bytes) {
  for (std::size_t i = bytes; i > 0; --i) out += static_cast<char>(number >> (8 * (i - 1)) & 0xff);
}

std::uint32_t number_at(std::string_view text, std::size_t offset) {
  std::uint32_t number = 0;
  for (const char c : text.substr(offset, sizeof number)) number = number << 8 | static_cast<unsigned char>(c);
  return number;
}

void append_text(std::string& out, std::string_view text) {
  append_number(out, text.size(), 2);
  out += text;
}

void append_certificate(std::string& out, std::string_view alias, std::string_view der) {
  append_number(out, kTrustedCertificate, 4);
  append_text(out, alias);
  append_number(out, 0, 8);  // the date of its entry
  append_text(out, kType);
  append_number(out, der.size(), 4);
  out += der;
}

base::Status append_digest(std::string& store) {
  std::string keyed;
  for (const char c : kPassword) append_number(keyed, static_cast<unsigned char>(c), 2);
  keyed += kSalt;
  keyed += store;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(keyed.data(), keyed.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1 || size != kDigest) {
    return base::system_error("cannot write Java's store of certificates: no SHA-1");
  }
  std::transform(digest.begin(), digest.begin() + kDigest, std::back_inserter(store),
                 [](unsigned char byte) { return static_cast<char>(byte); });
  return {};
}

bool is_jks(std::string_view store) {
  return store.size() >= kHeader + kDigest && number_at(store, 0) == kMagic && number_at(store, 4) == kVersion;
}

std::string_view value_of(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string_view entry : environment) {
    if (entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return {};
}

// The paths at which a store may be.
std::vector<std::string> candidates(const std::vector<std::string>& environment) {
  std::vector<std::string> paths(kSystemStores.begin(), kSystemStores.end());
  const std::string java_home(value_of(environment, "JAVA_HOME"));
  if (java_home.starts_with('/')) {
    paths.push_back(fmt::format("{}{}", java_home, kStoreBelowHome));
    paths.push_back(fmt::format("{}/jre{}", java_home, kStoreBelowHome));
  }
  std::vector<std::string> folders(kJdkFolders.begin(), kJdkFolders.end());
  const std::string home(value_of(environment, "HOME"));
  for (const std::string_view below : kJdkFoldersOfHome) {
    if (home.starts_with('/')) folders.push_back(fmt::format("{}{}", home, below));
  }
  for (const std::string& folder : folders) {
    std::error_code failed;
    constexpr int kMostJdks = 32;
    int seen = 0;
    for (std::filesystem::directory_iterator entry(folder, failed), end; !failed && entry != end && seen < kMostJdks;
         entry.increment(failed), ++seen) {
      paths.push_back(fmt::format("{}{}", entry->path().string(), kStoreBelowHome));
    }
  }
  return paths;
}

}  // namespace

std::vector<std::string> find_java_stores(const std::vector<std::string>& environment) {
  std::vector<std::string> found;
  for (const std::string& path : candidates(environment)) {
    std::array<char, PATH_MAX> canonical{};
    if (found.size() == kMaxJavaStores || ::realpath(path.c_str(), canonical.data()) == nullptr) continue;
    if (std::ranges::find(found, canonical.data()) == found.end()) found.emplace_back(canonical.data());
  }
  return found;
}

std::vector<std::string> certificates_of(std::string_view pem) {
  std::vector<std::string> found;
  if (pem.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return found;
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                       &BIO_free);
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  while (text && PEM_read_bio(text.get(), &name, &header, &data, &size) == 1) {
    if (std::string_view(name) == PEM_STRING_X509) found.emplace_back(data, data + size);
    // Not OPENSSL_free: it puts this file's path into the program.
    CRYPTO_free(name, nullptr, 0);
    CRYPTO_free(header, nullptr, 0);
    CRYPTO_free(data, nullptr, 0);
  }
  ERR_clear_error();
  return found;
}

base::Result<std::string> with_certificates(std::string_view store, std::string_view added_pem,
                                            std::string_view all_pem) {
  const bool jks = is_jks(store);
  std::uint32_t count = jks ? number_at(store, 8) : 0;
  std::string entries(jks ? store.substr(kHeader, store.size() - kHeader - kDigest) : std::string_view{});
  const auto added = certificates_of(jks ? added_pem : all_pem);
  for (std::size_t i = 0; i < added.size(); ++i, ++count) {
    append_certificate(entries, fmt::format("soleroute-{}", i), added[i]);
  }
  std::string out;
  append_number(out, kMagic, 4);
  append_number(out, kVersion, 4);
  append_number(out, count, 4);
  out += entries;
  SR_TRY(append_digest(out));
  return out;
}

}  // namespace soleroute::gateway::jail
