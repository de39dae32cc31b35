// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/runner_files.h"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

#include "gateway/jail/judged_file.h"
#include "gateway/jail/protected_paths.h"

namespace soleroute::gateway::jail {
namespace {

base::Status keep(const std::string& path, const Identity& command, std::span<const base::Mount> mounts) {
  const std::array<TrustedPath, 1> one{{{.path = path, .kind = TrustedKind::kLog}}};
  SR_LET(protection, protect(one, command, mounts));
  const bool there = !protection->judged.empty() && protection->judged.front().there;
  // Where it cannot be made, its folder is missing or not writable: no runner reads it there.
  if (!there) static_cast<void>(open_judged_file(path, protection->judged, command));
  return {};
}

}  // namespace

base::Result<std::vector<std::string>> keep_runner_files(const Identity& command, std::span<const base::Mount> mounts) {
  std::vector<std::string> paths;
  for (const std::string_view name : kRunnerVariables) {
    const char* path = std::getenv(name.data());  // NOLINT(bugprone-suspicious-stringview-data-usage): a literal
    if (path == nullptr || *path == '\0') continue;
    if (auto kept = keep(path, command, mounts); !kept) {
      kept.error().message = fmt::format("{}: {}", name, kept.error().message);
      return std::unexpected(std::move(kept.error()));
    }
    paths.emplace_back(path);
  }
  return paths;
}

}  // namespace soleroute::gateway::jail
