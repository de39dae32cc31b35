// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/system_store.h"

#include <fmt/format.h>
#include <openssl/x509.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "base/text.h"
#include "gateway/inspect/guarded_directory.h"
#include "gateway/inspect/pem_text.h"

namespace soleroute::gateway::inspect {
namespace {

using Access = GuardedDirectory::Access;
using Existing = GuardedDirectory::Existing;

constexpr mode_t kDirectoryMode = 0755;
constexpr mode_t kFileMode = 0644;

struct Layout {
  const char* directory;  // that it is there tells the system
  const char* anchors;
  const char* program;
};

// openSUSE has a program of Debian's name: its directory is looked for first. Debian's need not be there.
constexpr std::array kLayouts{
    Layout{"/etc/pki/trust/anchors", "/etc/pki/trust/anchors", "update-ca-certificates"},
    Layout{"/etc/pki/ca-trust/source/anchors", "/etc/pki/ca-trust/source/anchors", "update-ca-trust"},
    Layout{"/etc/ca-certificates/trust-source/anchors", "/etc/ca-certificates/trust-source/anchors", "update-ca-trust"},
    Layout{"/usr", "/usr/local/share/ca-certificates", "update-ca-certificates"},
};
constexpr std::array kProgramDirectories{"/usr/sbin", "/usr/bin", "/sbin", "/bin"};

std::string find_program(const std::string& root, std::string_view name) {
  for (const char* directory : kProgramDirectories) {
    std::string path = fmt::format("{}{}/{}", root, directory, name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

base::Error with_remedy(base::Error error) {
  if (error.sys_errno != EACCES && error.sys_errno != EPERM && error.sys_errno != EROFS) return error;
  error.message += "\nRun it as root, or add the CA to your own bundle with --bundle FILE.";
  return error;
}

// Is the certificate among those of `text`? kUsage where `text` is no bundle.
base::Result<bool> holds(const std::string& text, const std::string& certificate_pem) {
  if (text.empty()) return false;
  SR_LET(present, parse_certificates(text));
  SR_LET(wanted, parse_certificates(certificate_pem));
  return std::ranges::any_of(*present,
                             [&](const X509Ptr& one) { return X509_cmp(one.get(), wanted->front().get()) == 0; });
}

}  // namespace

std::optional<SystemStore> find_system_store(const std::string& root) {
  for (const Layout& layout : kLayouts) {
    if (::access((root + layout.directory).c_str(), F_OK) != 0) continue;
    std::string program = find_program(root, layout.program);
    if (!program.empty()) return SystemStore{root + layout.anchors, std::move(program)};
  }
  return std::nullopt;
}

base::Result<Added> add_anchor(const std::string& anchors, const std::string& certificate_pem) {
  const auto directory = GuardedDirectory::open_or_make(anchors, kDirectoryMode);
  if (!directory) return std::unexpected(with_remedy(directory.error()));
  const auto present = directory->read(kAnchorFile, Access::kPublic);
  if (present && *present == certificate_pem) return Added::kBefore;
  const auto written = directory->write(kAnchorFile, certificate_pem, kFileMode, Existing::kReplaced);
  if (!written) return std::unexpected(with_remedy(written.error()));
  return Added::kNow;
}

base::Result<Added> add_to_bundle(const std::string& file, const std::string& certificate_pem) {
  const std::size_t slash = file.rfind('/');
  const std::string name = slash == std::string::npos ? file : file.substr(slash + 1);
  if (name.empty()) return base::usage_error(fmt::format("{}: is not the name of a file", base::shown(file)));
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash + 1);
  const auto directory = GuardedDirectory::open_or_make(folder, kDirectoryMode);
  if (!directory) return std::unexpected(with_remedy(directory.error()));
  SR_LET(present, directory->read(name.c_str(), Access::kPublic));
  std::string text = present->value_or("");
  const auto known = holds(text, certificate_pem);
  if (!known) return base::usage_error(fmt::format("{}: {}", base::shown(file), known.error().message));
  if (*known) return Added::kBefore;
  if (!text.empty() && text.back() != '\n') text += '\n';
  const auto written = directory->write(name.c_str(), text + certificate_pem, kFileMode, Existing::kReplaced);
  if (!written) return std::unexpected(with_remedy(written.error()));
  return Added::kNow;
}

base::Status update_store(const SystemStore& store) {
  std::string program = store.program;
  std::array<char*, 2> arguments{program.data(), nullptr};
  pid_t child = 0;
  if (const int err = ::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments.data(), environ); err != 0) {
    return base::errno_error(fmt::format("cannot run {}", program), err);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return base::errno_error(fmt::format("cannot wait for {}", program));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return base::system_error(fmt::format("{}: failed; the system does not trust the CA yet", program));
}

}  // namespace soleroute::gateway::inspect
