// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/inspection.h"

#include <fmt/format.h>

#include <utility>

#include "gateway/inspect/leaf_issuer.h"
#include "gateway/inspect/pem_text.h"
#include "gateway/serve/policy_files.h"

namespace soleroute::gateway::serve {
namespace {

constexpr std::size_t kMaxRootsFile = std::size_t{4} * 1024 * 1024;  // a whole system's bundle fits many times

}  // namespace

base::Result<std::string> read_roots(std::span<const std::string> files, const FileReader& read) {
  std::string pem;
  for (const std::string& file : files) {
    const auto text = read(file, kMaxRootsFile);
    if (!text) return std::unexpected(text.error());
    const auto certificates = inspect::parse_certificates(*text);
    if (!certificates) {
      return base::usage_error(fmt::format("--trust: {}: {}", printable_path(file), certificates.error().message));
    }
    for (const auto& certificate : *certificates) pem += inspect::to_pem(*certificate);
  }
  return pem;
}

base::Result<std::shared_ptr<const inspect::Inspection>> make_inspection(inspect::Authority authority,
                                                                         const std::string& origin_roots_pem) {
  std::string certificate = authority.certificate_pem();
  auto leaves = inspect::LeafIssuer::start(std::move(authority));
  if (!leaves) return std::unexpected(leaves.error());
  return inspect::make_inspection(std::move(*leaves), std::move(certificate), origin_roots_pem);
}

}  // namespace soleroute::gateway::serve
