// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/secrets/secret_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/fd.h"

namespace soleroute::gateway::secrets {
namespace {

using base::Fd;
using base::Result;
using base::Status;

std::unexpected<base::Error> fault(std::string_view id, std::string_view what, int err = 0) {
  std::string message = fmt::format("secret {}: {}", id, what);
  if (err != 0) message += fmt::format(": {}", std::generic_category().message(err));
  return std::unexpected(base::Error{std::move(message), base::ErrorKind::kUsage, err});
}

// Whoever can put files there could choose what is sent. Root reads what others own; then they count as itself.
Status check_directory(std::string_view id, const struct stat& status) {
  const uid_t self = ::geteuid();
  if (status.st_uid != self && status.st_uid != 0 && self != 0) {
    return fault(id, "the secrets directory is owned by another user");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fault(id, "others can write to the secrets directory: chmod 700");
  }
  return {};
}

Status check_file(std::string_view id, const struct stat& directory, const struct stat& file) {
  if (!S_ISREG(file.st_mode)) return fault(id, "must be an ordinary file");
  if (file.st_uid != ::geteuid() && file.st_uid != 0 && file.st_uid != directory.st_uid) {
    return fault(id, "the file and its directory have different owners");
  }
  if ((file.st_mode & (S_IWGRP | S_IWOTH)) != 0) return fault(id, "others can write to the file: chmod 600");
  const bool reachable = (directory.st_mode & S_IXOTH) != 0;
  if (reachable && (file.st_mode & S_IROTH) != 0) {
    return fault(id, "others can read the file: chmod 600, or 700 for the directory");
  }
  if (std::cmp_greater(file.st_size, kMaxSecretBytes)) {
    return fault(id, fmt::format("is longer than {} bytes", kMaxSecretBytes));
  }
  return {};
}

Result<Secret> read_all(std::string_view id, int file) {
  Secret secret(kMaxSecretBytes + 1);
  Secret chunk(kMaxSecretBytes + 1);
  for (;;) {
    const ssize_t count = ::read(file, chunk.data(), chunk.capacity());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fault(id, "cannot read the file", errno);
    if (count == 0) return secret;
    if (secret.view().size() + static_cast<std::size_t>(count) > kMaxSecretBytes) {
      return fault(id, fmt::format("is longer than {} bytes", kMaxSecretBytes));
    }
    secret.append({chunk.data(), static_cast<std::size_t>(count)});
  }
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

Status check_value(std::string_view id, Secret& secret) {
  const std::string_view value = secret.view();
  if (value.ends_with("\r\n")) {
    secret.shorten_to(value.size() - 2);
  } else if (value.ends_with('\n')) {
    secret.shorten_to(value.size() - 1);
  }
  if (secret.empty()) return fault(id, "the file is empty");
  if (std::ranges::any_of(secret.view(), is_control)) {
    return fault(id, "the file contains control characters or more than one line");
  }
  return {};
}

void append_base64(std::string_view bytes, Secret& out) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto byte = [&](std::size_t i) -> std::uint32_t {
      return at + i < bytes.size() ? static_cast<std::uint8_t>(bytes[at + i]) : 0;
    };
    const std::uint32_t three = byte(0) << 16 | byte(1) << 8 | byte(2);
    const std::size_t characters = std::min<std::size_t>(bytes.size() - at, 3) + 1;
    for (std::size_t i = 0; i < 4; ++i) {
      const char digit = i < characters ? kAlphabet[three >> (18 - 6 * i) & 63] : '=';
      out.append({&digit, 1});
    }
  }
}

Secret basic(const std::string& username, std::string_view password) {
  Secret pair(username.size() + 1 + password.size());
  pair.append(username);
  pair.append(":");
  pair.append(password);
  constexpr std::string_view kScheme = "Basic ";
  Secret out(kScheme.size() + (pair.view().size() + 2) / 3 * 4);
  out.append(kScheme);
  append_base64(pair.view(), out);
  return out;
}

bool is_visible(char c) {
  return c > 0x20 && c < 0x7f;
}

}  // namespace

Result<Secret> SecretStore::read(std::string_view id) const {
  if (!policy::is_secret_id(id)) return fault("", "not a secret's ID");
  const Fd directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fault(id, "cannot open the secrets directory", errno);
  struct stat directory_status{};
  if (::fstat(directory.get(), &directory_status) != 0) return fault(id, "cannot stat the secrets directory", errno);
  SR_TRY(check_directory(id, directory_status));

  // O_NONBLOCK: a FIFO that nobody writes to would wait for ever.
  const std::string name(id);
  const Fd file(::openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file && errno == ELOOP) return fault(id, "must be an ordinary file, not a symbolic link");
  if (!file && errno == ENOENT) return fault(id, "no such file in the secrets directory");
  if (!file) return fault(id, "cannot open the file", errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fault(id, "cannot stat the file", errno);
  SR_TRY(check_file(id, directory_status, status));

  auto secret = read_all(id, file.get());
  if (!secret) return secret;
  SR_TRY(check_value(id, *secret));
  return secret;
}

Result<Secret> header_value(const policy::HeaderTransform& transform, const Secret& secret) {
  const std::string_view value = secret.view();
  if (transform.form == policy::HeaderForm::kBasic) return basic(transform.username, value);
  const bool bearer = transform.form == policy::HeaderForm::kBearer;
  const auto fits = [&](char c) { return is_visible(c) || (c == ' ' && !bearer); };
  if (value.empty() || !std::ranges::all_of(value, fits) || value.front() == ' ' || value.back() == ' ') {
    return fault(transform.secret, bearer ? "is not a bearer token: it contains a space or non-ASCII characters"
                                          : "is not a valid header value: it starts or ends with a space, or contains "
                                            "non-ASCII characters");
  }
  constexpr std::string_view kScheme = "Bearer ";
  Secret out(kScheme.size() + value.size());
  if (bearer) out.append(kScheme);
  out.append(value);
  return out;
}

bool sends_secrets(const policy::Policy& policy) {
  return std::ranges::any_of(policy.all(), [](const policy::Policy* one) { return !one->secrets().empty(); });
}

Status SecretStore::check(const policy::Policy& policy) const {
  const auto failed = [](const policy::SecretUse& use, const base::Error& error) {
    return base::usage_error(fmt::format("{}: {}", policy::place_of(use.line), error.message));
  };
  for (const auto* one : policy.all()) {
    for (const auto& use : one->secrets()) {
      const auto secret = read(use.transform->secret);
      if (!secret) return failed(use, secret.error());
      const auto value = header_value(*use.transform, *secret);
      if (!value) return failed(use, value.error());
    }
  }
  return {};
}

}  // namespace soleroute::gateway::secrets
