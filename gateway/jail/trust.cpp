// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/trust.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "gateway/host/origin_roots.h"
#include "gateway/host/policy_files.h"
#include "gateway/jail/browser_policies.h"
#include "gateway/jail/java_stores.h"

namespace soleroute::gateway::jail {
namespace {

constexpr std::size_t kMaxSystemBundle = 4 * 1024 * 1024;  // Debian's is about 220 KB

constexpr std::array<std::string_view, 5> kBundles{
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",                   // older RHEL
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/ssl/cert.pem",                                  // Alpine
};

constexpr std::array<std::string_view, 3> kAnchors{
    "/usr/local/share/ca-certificates",          // Debian, Ubuntu, Alpine
    "/etc/pki/ca-trust/source/anchors",          // Fedora, RHEL
    "/etc/ca-certificates/trust-source/anchors"  // Arch
};
constexpr const char* kAdditionsName = "soleroute-ca.crt";

// A bundle replaces a program's own roots, so these variables name the whole bundle and never the CA alone.
// docker/base/Dockerfile sets the same, docs/jail.md lists them; tests/lint/trust_variables.py compares them.
constexpr std::array<std::string_view, 24> kBundleVariables{
    "SSL_CERT_FILE",                       // OpenSSL, Go, Ruby, Haskell, uv
    "REQUESTS_CA_BUNDLE",                  // Python requests
    "CURL_CA_BUNDLE",                      // curl
    "GIT_SSL_CAINFO",                      // git
    "PIP_CERT",                            // pip
    "CARGO_HTTP_CAINFO",                   // cargo
    "AWS_CA_BUNDLE",                       // AWS tools
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",    // gRPC
    "NIX_SSL_CERT_FILE",                   // Nix
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",  // Google Cloud SDK
    "HEX_CACERTS_PATH",                    // Hex, mix
    "npm_config_cafile",                   // npm, pnpm
    "YARN_HTTPS_CA_FILE_PATH",             // Yarn
    "BUNDLE_SSL_CA_CERT",                  // Bundler
    "COMPOSER_CAFILE",                     // Composer
    "PERL_LWP_SSL_CA_FILE",                // Perl
    "JULIA_SSL_CA_ROOTS_PATH",             // Julia
    "HTTPLIB2_CA_CERTS",                   // Python httplib2, Google's API client
    "WEBSOCKET_CLIENT_CA_BUNDLE",          // Python websocket-client
    "CONDA_SSL_VERIFY",                    // conda
    "MAMBA_SSL_VERIFY",                    // mamba
    "SYSTEM_CERTIFICATE_PATH",             // Haskell: stack, cabal, Elm
    "ELIXIR_MAKE_CACERT",                  // Elixir's precompiled libraries
    "MOJO_CA_FILE",                        // Perl Mojolicious
};
constexpr std::array<std::string_view, 3> kAdditionVariables{
    "NODE_EXTRA_CA_CERTS",   // Node, Bun, Electron
    "DENO_CERT",             // Deno
    "CODEX_CA_CERTIFICATE",  // Codex
};

base::Result<FileReplacement> system_bundle(std::span<const std::string_view> bundles) {
  for (const std::string_view candidate : bundles) {
    const std::string path(candidate);
    auto text = host::read_small_file(path, kMaxSystemBundle);
    if (text) return FileReplacement{path, std::move(*text)};
    if (text.error().sys_errno != ENOENT && text.error().sys_errno != ENOTDIR) {
      return base::system_error(text.error().message);
    }
  }
  return std::unexpected(base::Error{"no bundle of root certificates found on this system; install ca-certificates",
                                     base::ErrorKind::kSystem, ENOENT});
}

std::optional<LoneFile> lone_file(std::span<const std::string_view> anchors, const std::string& text) {
  for (const std::string_view directory : anchors) {
    std::error_code ignored;
    if (std::filesystem::is_directory(directory, ignored))
      return LoneFile{std::string(directory), kAdditionsName, text};
  }
  return std::nullopt;
}

// "NAME=value" of one of `names`: the value.
std::string_view value_of(std::string_view entry, std::span<const std::string_view> names) {
  const std::size_t equals = entry.find('=');
  if (equals == std::string_view::npos || std::ranges::find(names, entry.substr(0, equals)) == names.end()) return {};
  return entry.substr(equals + 1);
}

// A company's roots, say, for which the variables are about to mean something else. What cannot be read, the programs
// could not read either.
std::string named_roots(const std::vector<std::string>& environment, const std::string& bundle) {
  std::string pem;
  std::set<std::string_view> seen{bundle};
  for (const std::string& entry : environment) {
    std::string_view file = value_of(entry, kBundleVariables);
    if (file.empty()) file = value_of(entry, kAdditionVariables);
    if (file.empty() || !seen.insert(file).second) continue;
    const auto roots = host::read_roots(std::array{std::string(file)});
    if (roots) pem += *roots;
  }
  return pem;
}

// Java would fail without its store, so one that cannot be read is left as it is.
void add_java_stores(const std::vector<std::string>& stores, const std::string& added, const std::string& all,
                     Trust& trust) {
  for (const std::string& path : stores) {
    const auto store = host::read_small_file(path, kMaxJavaStore);
    if (!store) continue;
    if (auto more = with_certificates(*store, added, all)) trust.stores.push_back({path, std::move(*more)});
  }
}

// A packed trust is a list of fields: for each file its kind, where it goes (two fields) and one descriptor; then
// kVariables and the variables.
constexpr std::size_t kFileFields = 3;
constexpr std::string_view kBundle = "bundle";
constexpr std::string_view kAdditions = "additions";
constexpr std::string_view kStore = "store";
constexpr std::string_view kAdded = "added";
constexpr std::string_view kVariables = "variables";
constexpr std::string_view kBetween{"\0", 1};

base::Result<base::Fd> memory_file(std::string_view text) {
  base::Fd file(::memfd_create("trust", MFD_CLOEXEC));
  if (!file) return base::errno_error("cannot create a memory file");
  while (!text.empty()) {
    const ssize_t count = ::write(file.get(), text.data(), text.size());
    if (count < 0) return base::errno_error("cannot write a memory file");
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return file;
}

base::Result<std::string> text_of(const base::Fd& file) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return base::errno_error("cannot read a memory file");
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::pread(file.get(), &text[done], text.size() - done, static_cast<off_t>(done));
    if (count <= 0) return base::errno_error("cannot read a memory file");
    done += static_cast<std::size_t>(count);
  }
  return text;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> fields;
  for (;;) {
    const std::size_t end = text.find(kBetween);
    fields.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return fields;
    text.remove_prefix(end + 1);
  }
}

std::unexpected<base::Error> not_whole() {
  return base::system_error("the trusted certificates did not arrive whole");
}

base::Status take_file(std::string_view kind, const std::string& where, const std::string& name, std::string text,
                       Trust& trust) {
  if (kind == kBundle) {
    trust.bundle = FileReplacement{where, std::move(text)};
  } else if (kind == kAdditions) {
    trust.additions = LoneFile{where, name, std::move(text)};
  } else if (kind == kStore) {
    trust.stores.push_back({where, std::move(text)});
  } else if (kind == kAdded) {
    trust.added_files.push_back({where, name, std::move(text)});
  } else {
    return not_whole();
  }
  return {};
}

}  // namespace

TrustPlaces system_trust_places(const std::vector<std::string>& environment) {
  return {.bundles = kBundles, .anchors = kAnchors, .java_stores = find_java_stores(environment), .browsers = true};
}

base::Result<Trust> make_trust(const TrustRequest& request, const TrustPlaces& places) {
  if (request.roots_pem.empty() && request.ca_pem.empty()) return Trust{};
  auto bundle = system_bundle(places.bundles);
  if (!bundle && bundle.error().sys_errno == ENOENT && request.roots_pem.empty()) return Trust{};
  if (!bundle) return std::unexpected(bundle.error());
  const std::string added = request.ca_pem + request.roots_pem + named_roots(request.environment, bundle->path);
  // A file without a final newline would join two lines into neither.
  if (!bundle->text.empty() && bundle->text.back() != '\n') bundle->text += '\n';
  bundle->text += added;

  Trust trust;
  trust.additions = lone_file(places.anchors, added);
  const std::string additions =
      trust.additions ? fmt::format("{}/{}", trust.additions->directory, trust.additions->name) : bundle->path;
  for (const std::string_view name : kBundleVariables) {
    trust.variables.push_back(fmt::format("{}={}", name, bundle->path));
  }
  for (const std::string_view name : kAdditionVariables) {
    trust.variables.push_back(fmt::format("{}={}", name, additions));
  }
  add_java_stores(places.java_stores, added, bundle->text, trust);
  if (places.browsers) {
    auto browsers = browser_policies(added, request.ca_pem + request.roots_pem);
    trust.added_files = std::move(browsers.files);
    trust.without_firefox = browsers.without_firefox;
  }
  const std::string directory = std::filesystem::path(bundle->path).parent_path().string();
  trust.variables.push_back(fmt::format("SSL_CERT_DIR={}", directory));
  trust.bundle = std::move(*bundle);
  return trust;
}

base::Result<Message> pack_trust(const Trust& trust) {
  std::vector<std::string> fields;
  Message message{.kind = MessageKind::kTrust, .value = 0, .text = {}, .fds = {}};
  const auto carry = [&](std::string_view kind, const std::string& where, const std::string& name,
                         const std::string& text) -> base::Status {
    SR_LET(file, memory_file(text));
    message.fds.push_back(std::move(*file));
    fields.insert(fields.end(), {std::string(kind), where, name});
    return {};
  };
  if (trust.bundle) {
    SR_TRY(carry(kBundle, trust.bundle->path, "", trust.bundle->text));
  }
  if (trust.additions) {
    SR_TRY(carry(kAdditions, trust.additions->directory, trust.additions->name, trust.additions->text));
  }
  for (const FileReplacement& store : trust.stores) {
    SR_TRY(carry(kStore, store.path, "", store.text));
  }
  for (const AddedFile& file : trust.added_files) {
    SR_TRY(carry(kAdded, file.floor, file.name, file.text));
  }
  fields.emplace_back(kVariables);
  fields.insert(fields.end(), trust.variables.begin(), trust.variables.end());
  message.text = fmt::format("{}", fmt::join(fields, kBetween));
  if (message.text.size() > kMaxMessageText)
    return base::system_error("the variables that name root certificates are too long");
  return message;
}

base::Result<Trust> unpack_trust(const Message& message) {
  const std::vector<std::string> fields = split(message.text);
  Trust trust;
  auto field = fields.begin();
  for (const base::Fd& file : message.fds) {
    if (fields.end() - field < static_cast<std::ptrdiff_t>(kFileFields)) return not_whole();
    SR_LET(text, text_of(file));
    SR_TRY(take_file(field[0], field[1], field[2], std::move(*text), trust));
    field += kFileFields;
  }
  if (field == fields.end() || *field != kVariables) return not_whole();
  trust.variables.assign(field + 1, fields.end());
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
