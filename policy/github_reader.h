// Reads the keys of the github service that narrow it to repositories: `repos`, `git` and `api`.
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "policy/github_scope.h"
#include "policy/transform_reader.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

inline constexpr std::size_t kMaxRepositories = 1000;

class GithubReader {
 public:
  explicit GithubReader(const SourceText& source) : yaml_(source), transforms_(source) {}

  [[nodiscard]] base::Status repositories(const YamlNode& node, std::vector<GithubRepository>& out) const;
  // {access: read | readwrite, auth: {secret: ID, client_shim: {kind: …}}}; `shim`: the one kind there is for it.
  [[nodiscard]] base::Status access(const YamlNode& node, std::string_view what, std::string_view shim,
                                    std::optional<GithubAccess>& out) const;

 private:
  [[nodiscard]] base::Status repository(const YamlNode& node, std::vector<GithubRepository>& out) const;
  [[nodiscard]] base::Status auth(const YamlNode& node, std::string_view shim, GithubAccess& out) const;
  [[nodiscard]] base::Status client_shim(const YamlNode& node, std::string_view shim, GithubAccess& out) const;

  YamlReader yaml_;
  TransformReader transforms_;
};

}  // namespace soleroute::policy
