// Secrets as files of one directory that the gateway alone sees; a secret's ID is the name of its file.
// Thread-safe: it holds nothing but the directory's path, and reads the file anew for each use.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "gateway/secrets/secret.h"
#include "policy/policy.h"

namespace soleroute::gateway::secrets {

inline constexpr const char* kDefaultSecretsDirectory = "/run/secrets/soleroute";
inline constexpr std::size_t kMaxSecretBytes = 8192;  // a header that servers still take

class SecretStore {
 public:
  explicit SecretStore(std::string directory) : directory_(std::move(directory)) {}

  // The file's bytes without one line end behind them. Errors name the ID and what is wrong with the file, never what
  // is in it: no such file; a link, or anything else than an ordinary file; one that others own, can write or can read
  // (a directory that is closed to them is enough); empty, too long, or with control characters.
  [[nodiscard]] base::Result<Secret> read(std::string_view id) const;

  // Can everything that `policy` sends be read, and sent as it says? Errors are kUsage and begin with the policy's
  // line.
  [[nodiscard]] base::Status check(const policy::Policy& policy) const;

  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
};

// Does what decides for any client send secrets?
[[nodiscard]] bool sends_secrets(const policy::Policy& policy);

// The value of the header that `transform` sets. Errors as above: what cannot stand in a header field (RFC 9110
// section 5.5), or for a bearer token holds a space.
[[nodiscard]] base::Result<Secret> header_value(const policy::HeaderTransform& transform, const Secret& secret);

}  // namespace soleroute::gateway::secrets
