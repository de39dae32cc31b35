// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/trust.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <utility>

#include "gateway/serve/policy_files.h"

namespace soleroute::gateway::jail {
namespace {

constexpr std::size_t kMaxTrustFile = 1024 * 1024;
constexpr std::size_t kMaxSystemBundle = 4 * 1024 * 1024;  // Debian's is about 220 KB
constexpr std::string_view kPemBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kPemEnd = "-----END CERTIFICATE-----";

constexpr std::array<std::string_view, 5> kBundles{
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",                   // older RHEL
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/ssl/cert.pem",                                  // Alpine
};

// DESIGN section 11. NODE_EXTRA_CA_CERTS and DENO_CERT add to built-in roots; the whole bundle adds the same.
constexpr std::array<std::string_view, 9> kBundleVariables{
    "SSL_CERT_FILE",     "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",      "GIT_SSL_CAINFO", "PIP_CERT",
    "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE",      "NODE_EXTRA_CA_CERTS", "DENO_CERT"};

base::Result<FileReplacement> system_bundle(std::span<const std::string_view> bundles) {
  for (const std::string_view candidate : bundles) {
    const std::string path(candidate);
    auto text = serve::read_small_file(path, kMaxSystemBundle);
    if (text) return FileReplacement{path, std::move(*text)};
    if (text.error().sys_errno != ENOENT && text.error().sys_errno != ENOTDIR) {
      return base::system_error(text.error().message);
    }
  }
  return base::system_error("this system has no bundle of root certificates to add to; install ca-certificates");
}

base::Status append_pem(std::string& bundle, std::string_view pem, const std::string& name) {
  const std::size_t begin = pem.find(kPemBegin);
  if (begin == std::string_view::npos || pem.find(kPemEnd, begin) == std::string_view::npos) {
    return base::usage_error(fmt::format("{}: holds no certificate in PEM form (\"{}\")", name, kPemBegin));
  }
  // A file without a final newline would join two lines into neither.
  if (!bundle.empty() && bundle.back() != '\n') bundle += '\n';
  bundle += pem;
  return {};
}

}  // namespace

std::span<const std::string_view> system_bundle_paths() {
  return kBundles;
}

base::Result<Trust> make_trust(const TrustRequest& request, std::span<const std::string_view> bundles) {
  if (request.files.empty() && request.ca_pem.empty()) return Trust{};
  std::string added;
  if (!request.ca_pem.empty()) {
    if (auto appended = append_pem(added, request.ca_pem, "the CA"); !appended)
      return std::unexpected(appended.error());
  }
  for (const std::string& file : request.files) {
    const auto pem = serve::read_small_file(file, kMaxTrustFile);
    if (!pem) return std::unexpected(pem.error());
    if (auto appended = append_pem(added, *pem, serve::printable_path(file)); !appended) {
      return std::unexpected(appended.error());
    }
  }
  auto bundle = system_bundle(bundles);
  if (!bundle) return std::unexpected(bundle.error());
  if (!bundle->text.empty() && bundle->text.back() != '\n') bundle->text += '\n';
  bundle->text += added;

  Trust trust;
  for (const std::string_view name : kBundleVariables) {
    trust.variables.push_back(fmt::format("{}={}", name, bundle->path));
  }
  const std::string directory = std::filesystem::path(bundle->path).parent_path().string();
  trust.variables.push_back(fmt::format("SSL_CERT_DIR={}", directory));
  trust.bundle = std::move(*bundle);
  return trust;
}

std::vector<std::string> with_variables(std::vector<std::string> environment,
                                        const std::vector<std::string>& variables) {
  for (const std::string& variable : variables) {
    const std::string_view name = std::string_view(variable).substr(0, variable.find('=') + 1);
    std::erase_if(environment, [name](const std::string& entry) { return entry.starts_with(name); });
    environment.push_back(variable);
  }
  return environment;
}

}  // namespace soleroute::gateway::jail
