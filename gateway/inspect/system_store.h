// The certificate store of an operating system, to which a CA is added.
// Changes files of the system only where a function says so.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace soleroute::gateway::inspect {

struct SystemStore {
  std::string anchors;  // the directory for certificates that were added by hand
  std::string program;  // absolute path of what makes the system's bundle of them; empty: nothing is known to

  bool operator==(const SystemStore&) const = default;
};

inline constexpr const char* kAnchorFile = "soleroute-ca.crt";  // Debian's program looks for .crt

// That of Debian, Ubuntu and Alpine, of Fedora and RHEL, of openSUSE, of Arch, by what is there below `root`.
[[nodiscard]] std::optional<SystemStore> find_system_store(const std::string& root = "");

enum class Added { kNow, kBefore };

// Puts the certificate into the directory, in the place of an earlier one of ours.
[[nodiscard]] base::Result<Added> add_anchor(const std::string& anchors, const std::string& certificate_pem);
// Appends the certificate to a file of many in PEM form, which is made where it is not there.
[[nodiscard]] base::Result<Added> add_to_bundle(const std::string& file, const std::string& certificate_pem);
// Runs the store's program, its output going where ours does; kSystem where it fails.
[[nodiscard]] base::Status update_store(const SystemStore& store);

}  // namespace soleroute::gateway::inspect
