// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/github_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/text.h"
#include "policy/source_text.h"

namespace soleroute::policy {
namespace {

using base::Status;

constexpr std::size_t kMaxOwner = 39;  // GitHub's own bounds
constexpr std::size_t kMaxRepository = 100;

// Nothing that percent-encoding, dot segments or case folding beyond ASCII could spell in another way.
bool is_name(std::string_view lowered, std::size_t max) {
  const auto fits = [](char c) { return base::is_lower(c) || base::is_digit(c) || c == '-' || c == '_' || c == '.'; };
  return !lowered.empty() && lowered.size() <= max && lowered != "." && lowered != ".." &&
         std::ranges::all_of(lowered, fits);
}

}  // namespace

Status GithubReader::repository(const YamlNode& node, std::vector<GithubRepository>& out) const {
  constexpr std::string_view kSuffix = ".git";
  SR_LET(text, yaml_.text(node, "a repository"));
  const std::string name = lowered(*text);
  const std::size_t slash = name.find('/');
  GithubRepository repository{name.substr(0, slash), {}};
  if (slash != std::string::npos) repository.name = name.substr(slash + 1);
  if (repository.name.ends_with(kSuffix)) repository.name.erase(repository.name.size() - kSuffix.size());
  if (!is_name(repository.owner, kMaxOwner) || !is_name(repository.name, kMaxRepository)) {
    return yaml_.error(
        node, fmt::format("'{}' is not a repository of the form owner/name", base::shown(text->substr(0, 80))));
  }
  if (std::ranges::find(out, repository) == out.end()) out.push_back(std::move(repository));
  return {};
}

Status GithubReader::repositories(const YamlNode& node, std::vector<GithubRepository>& out) const {
  if (node.is_sequence() && node.children.size() > kMaxRepositories) {
    return yaml_.error(node, fmt::format("more than {} repositories", kMaxRepositories));
  }
  return yaml_.each(node, "repos", false, [&](const YamlNode& item) { return repository(item, out); });
}

// agent-sandbox's clients hold a placeholder where a shim is named, so that what they send is to be replaced.
Status GithubReader::client_shim(const YamlNode& node, std::string_view shim, GithubAccess& out) const {
  const auto kind = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "kind", {shim}));
    out.replace = true;
    return {};
  };
  const std::array<YamlReader::Key, 1> known{{{"kind", kind}}};
  SR_TRY(yaml_.keys(node, "client_shim", known));
  if (!out.replace) return yaml_.error(node, fmt::format("client_shim needs 'kind': {}", shim));
  return {};
}

Status GithubReader::auth(const YamlNode& node, std::string_view shim, GithubAccess& out) const {
  const std::array<YamlReader::Key, 2> known{{
      {"secret", [&](const YamlNode& value) { return transforms_.secret(value, out.secret); }},
      {"client_shim", [&](const YamlNode& value) { return client_shim(value, shim, out); }},
  }};
  SR_TRY(yaml_.keys(node, "auth", known));
  if (out.secret.empty()) return yaml_.error(node, "auth needs 'secret': the ID of a secret");
  return {};
}

Status GithubReader::access(const YamlNode& node, std::string_view what, std::string_view shim,
                            std::optional<GithubAccess>& out) const {
  GithubAccess read;
  bool stated = false;
  const auto level = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "access", {"read", "readwrite"}));
    stated = true;
    read.write = *chosen == "readwrite";
    return {};
  };
  const std::array<YamlReader::Key, 2> known{{
      {"access", level},
      {"auth", [&](const YamlNode& value) { return auth(value, shim, read); }},
  }};
  SR_TRY(yaml_.keys(node, what, known));
  if (!stated) return yaml_.error(node, fmt::format("{} needs 'access': read or readwrite", what));
  out = std::move(read);
  return {};
}

}  // namespace soleroute::policy
