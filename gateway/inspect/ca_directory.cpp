// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/ca_directory.h"

#include <fmt/format.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/text.h"
#include "gateway/inspect/guarded_directory.h"
#include "gateway/inspect/pem_text.h"
#include "gateway/inspect/pkcs12.h"

namespace soleroute::gateway::inspect {
namespace {

using Access = GuardedDirectory::Access;
using Existing = GuardedDirectory::Existing;

constexpr const char* kSystemDirectory = "/var/lib/soleroute/ca";
constexpr mode_t kSecretMode = 0600;
constexpr mode_t kPublicMode = 0644;
constexpr mode_t kCaDirectoryMode = 0700;
constexpr mode_t kExportDirectoryMode = 0755;

struct NewFile {
  const char* name;
  std::string text;
  mode_t mode;
};

std::unexpected<base::Error> in_file(const GuardedDirectory& directory, const char* name, base::Error error) {
  error.message = fmt::format("{}: {}", directory.shown(name), error.message);
  return std::unexpected(std::move(error));
}

// What mitmproxy hands to clients must be the certificate that signs.
base::Status check_certificate_file(const GuardedDirectory& directory, const char* name, const Authority& authority) {
  SR_LET(text, directory.read(name, Access::kPublic));
  if (!*text) return {};
  const auto certificates = parse_certificates(**text);
  if (!certificates) return in_file(directory, name, certificates.error());
  const auto trusted = parse_certificates(authority.certificate_pem());
  const bool known = trusted && (X509_cmp(certificates->front().get(), &authority.certificate()) == 0 ||
                                 X509_cmp(certificates->front().get(), trusted->front().get()) == 0);
  if (known) return {};
  return base::usage_error(
      fmt::format("{}: is not the certificate of {}; remove it if the latter is right, and it is written again",
                  directory.shown(name), kSecretFile));
}

base::Result<std::optional<Authority>> read_ca(const GuardedDirectory& directory, TimePoint now) {
  SR_TRY(directory.check_private());
  SR_LET(text, directory.read(kSecretFile, Access::kSecret));
  if (!*text) return std::nullopt;
  auto authority = Authority::parse(**text, now);
  if (!authority) return in_file(directory, kSecretFile, authority.error());
  SR_TRY(directory.check(kSecretP12File, Access::kSecret));
  for (const char* name : {kCertificateFile, kCertificateCerFile}) {
    SR_TRY(check_certificate_file(directory, name, *authority));
  }
  return std::move(*authority);
}

base::Result<std::vector<NewFile>> companions(const Authority& authority) {
  SR_LET(secret, to_pkcs12(authority, Pkcs12Content::kCertificateAndKey));
  SR_LET(open, to_pkcs12(authority, Pkcs12Content::kCertificate));
  const std::string pem = authority.certificate_pem();
  return std::vector<NewFile>{{kSecretP12File, std::move(*secret), kSecretMode},
                              {kCertificateFile, pem, kPublicMode},
                              {kCertificateCerFile, pem, kPublicMode},
                              {kCertificateP12File, std::move(*open), kPublicMode}};
}

base::Status write_files(const GuardedDirectory& directory, const std::vector<NewFile>& files) {
  for (const NewFile& file : files) {
    SR_LET(written, directory.write(file.name, file.text, file.mode, Existing::kReplaced));
  }
  return {};
}

// A CA whose maker was interrupted behind the key, or one that lost a file: the rest follows from the key. In a
// directory that cannot be written to it goes on without.
base::Status complete(const GuardedDirectory& directory, const Authority& authority) {
  if (directory.has(kCertificateFile)) return {};
  SR_LET(files, companions(authority));
  const auto written = write_files(directory, *files);
  const int err = written ? 0 : written.error().sys_errno;
  return err == EROFS || err == EACCES || err == EPERM ? base::Status{} : written;
}

// Nothing if another process was first.
base::Result<std::optional<Authority>> create_ca(const GuardedDirectory& directory, TimePoint now) {
  SR_LET(authority, Authority::create(now));
  SR_LET(secret, authority->secret_pem());
  SR_LET(written, directory.write(kSecretFile, *secret, kSecretMode, Existing::kKept));
  if (!*written) return std::nullopt;
  return std::move(*authority);
}

base::Error cannot_make(base::Error error) {
  error.message += "\nThe CA of inspected hosts is kept there: name a directory that can be written to with --ca-dir.";
  return error;
}

std::string text_of(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? std::string() : std::string(value);
}

base::Status check_export(const GuardedDirectory& out, const std::string& ca_directory) {
  const auto private_directory = GuardedDirectory::open(ca_directory);
  if (private_directory && out.is_same_as(*private_directory)) {
    return base::usage_error(
        fmt::format("{} contains the private key, which agents must not see; pass another directory as --ca-out",
                    base::shown(out.path())));
  }
  for (const char* name : {kSecretFile, kSecretP12File}) {
    if (!out.has(name)) continue;
    return base::usage_error(fmt::format(
        "{}: a private key lies where agents look for the certificate; remove it, or give --ca-out another directory",
        out.shown(name)));
  }
  return {};
}

}  // namespace

base::Result<std::string> default_ca_directory() {
  struct stat status{};
  const bool given = ::stat(kSystemDirectory, &status) == 0 && status.st_uid == ::geteuid();
  if (::geteuid() == 0 || given) return kSystemDirectory;
  // XDG Base Directory Specification: a relative path is to be ignored.
  if (const std::string data = text_of("XDG_DATA_HOME"); data.starts_with('/')) return data + "/soleroute/ca";
  if (const std::string home = text_of("HOME"); home.starts_with('/')) return home + "/.local/share/soleroute/ca";
  return base::usage_error("no home directory to keep the CA in; name one with --ca-dir");
}

base::Result<Authority> load_ca(const std::string& directory, TimePoint now) {
  const auto opened = GuardedDirectory::open(directory);
  if (!opened && opened.error().sys_errno != ENOENT) return std::unexpected(opened.error());
  SR_LET(found, opened ? read_ca(*opened, now) : base::Result<std::optional<Authority>>(std::nullopt));
  if (*found) return std::move(**found);
  return base::usage_error(
      fmt::format("no CA in {} ({}); run 'gateway ca create'", base::shown(directory), kSecretFile));
}

base::Result<LoadedCa> load_or_create_ca(const std::string& directory, TimePoint now) {
  const auto opened = GuardedDirectory::open_or_make(directory, kCaDirectoryMode);
  if (!opened) return std::unexpected(cannot_make(opened.error()));
  SR_LET(found, read_ca(*opened, now));
  bool created = false;
  if (!*found) {
    // Somebody's public certificates, mounted in the place of the private directory: a new CA would not be theirs.
    if (opened->has(kCertificateFile)) {
      return base::usage_error(
          fmt::format("{}: certificate without its key ({}). Add the key, or remove the certificate to create a new CA",
                      opened->shown(kCertificateFile), kSecretFile));
    }
    auto made = create_ca(*opened, now);
    if (!made) return std::unexpected(cannot_make(made.error()));
    created = made->has_value();
    found = created ? std::move(made) : read_ca(*opened, now);
    if (!found) return std::unexpected(found.error());
    if (!*found) return base::system_error(fmt::format("{}: comes and goes", opened->shown(kSecretFile)));
  }
  SR_TRY(complete(*opened, **found));
  return LoadedCa{std::move(**found), created};
}

base::Result<Authority> rotate_ca(const std::string& directory, TimePoint now) {
  SR_LET(opened, GuardedDirectory::open_or_make(directory, kCaDirectoryMode));
  SR_TRY(opened->check_private());
  auto authority = Authority::create(now);
  if (!authority) return authority;
  SR_LET(secret, authority->secret_pem());
  SR_LET(files, companions(*authority));
  files->insert(files->begin(), NewFile{kSecretFile, *secret, kSecretMode});
  SR_TRY(write_files(*opened, *files));
  return authority;
}

base::Status export_certificate(const Authority& authority, const std::string& ca_directory,
                                const std::string& directory) {
  SR_LET(out, GuardedDirectory::open_or_make(directory, kExportDirectoryMode));
  SR_TRY(check_export(*out, ca_directory));
  const std::string pem = authority.certificate_pem();
  for (const char* name : {kCertificateFile, kExportedFile}) {
    const auto present = out->read(name, Access::kPublic);
    if (present && *present == pem) continue;
    SR_LET(written, out->write(name, pem, kPublicMode, Existing::kReplaced));
  }
  return {};
}

}  // namespace soleroute::gateway::inspect
