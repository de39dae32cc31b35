// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/origin_roots.h"

#include <fmt/format.h>

#include "base/text.h"
#include "gateway/host/policy_files.h"
#include "gateway/inspect/pem_text.h"

namespace soleroute::gateway::host {
namespace {

constexpr std::size_t kMaxRootsFile = std::size_t{4} * 1024 * 1024;  // a whole system's bundle fits many times

}  // namespace

base::Result<std::string> read_roots(std::span<const std::string> files, const FileReader& read) {
  std::string pem;
  for (const std::string& file : files) {
    SR_LET(text, read(file, kMaxRootsFile));
    const auto certificates = inspect::parse_certificates(*text);
    if (!certificates) {
      return base::usage_error(fmt::format("--trust: {}: {}", base::shown(file), certificates.error().message));
    }
    for (const auto& certificate : *certificates) pem += inspect::to_pem(*certificate);
  }
  return pem;
}

}  // namespace soleroute::gateway::host
