// Which roots the command trusts: the system's and more, as one private bundle and the variables that name it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/jail/mounts.h"

namespace soleroute::gateway::jail {

struct TrustRequest {
  std::vector<std::string> files;  // PEM files with further roots (--trust)
  std::string ca_pem;              // the gateway's own CA certificate, or empty
};

struct Trust {
  std::optional<FileReplacement> bundle;  // what the jail sees in place of the system's bundle
  std::vector<std::string> variables;     // "NAME=value"; replaces what was there
};

// Where distributions keep their bundle, in the order of the search.
[[nodiscard]] std::span<const std::string_view> system_bundle_paths();

// Nothing asked for: nothing changes. Otherwise the bundle is the system's roots, then the CA, then the files. It
// covers the system's own file in the jail's private mount namespace, so that programs which look there find it too,
// and nothing is written to the host. Errors: kUsage for a file that holds no certificate, kSystem where the system has
// no bundle to add to.
[[nodiscard]] base::Result<Trust> make_trust(const TrustRequest& request,
                                             std::span<const std::string_view> bundles = system_bundle_paths());

// `environment` with each of `variables` in place of a variable of that name.
[[nodiscard]] std::vector<std::string> with_variables(std::vector<std::string> environment,
                                                      const std::vector<std::string>& variables);

}  // namespace soleroute::gateway::jail
