// GitHub narrowed to some repositories: which requests that is, as host entries with rules.
// Plain values; pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/source_text.h"

namespace soleroute::policy {

struct DomainEntry;  // policy/policy_document.h

// Lower case; GitHub compares both without case.
struct GithubRepository {
  std::string owner;
  std::string name;  // without ".git"

  bool operator==(const GithubRepository&) const = default;
};

struct GithubAccess {
  bool write = false;
  std::string secret{};  // the ID of the token to send; empty: whatever the client sends
  bool replace = false;  // of the client's own Authorization, which is refused otherwise
};

struct GithubScope {
  std::vector<GithubRepository> repositories;
  std::optional<GithubAccess> git;  // smart HTTP on github.com
  std::optional<GithubAccess> api;  // REST on api.github.com
};

// What `scope` admits, all of it https: fetching is GET or HEAD of info/refs and POST of git-upload-pack, pushing the
// same of git-receive-pack, with and without ".git" behind the name (gitprotocol-http(5)). The API is read below
// /repos/<owner>/<name>; its writes are POST and PATCH of issues and pull requests alone, because other writes reach
// beyond a sandbox (hooks, keys, settings, merging).
[[nodiscard]] std::vector<DomainEntry> expand(const GithubScope& scope, Position position);

}  // namespace soleroute::policy
