// The formats of other tools that `gateway import` reads.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gateway/importers/draft.h"

namespace soleroute::gateway::importers {

struct Input {
  std::string name;  // for messages and for what its ending tells
  std::string text;
};

struct Format {
  std::string_view name;  // "squid"
  std::string_view what;  // "acl and http_access lines of squid.conf"
  // Errors: kUsage, where the text is not of this format.
  base::Status (*read)(const Input& input, Draft& draft);
};

[[nodiscard]] std::span<const Format> formats();
[[nodiscard]] const Format* find_format(std::string_view name);
// The format that a text looks like; null: none, or it is not clear.
[[nodiscard]] const Format* guess_format(const Input& input);

// The policy that `drafts` of these inputs make, with comments that say what its entries mean and what was left out.
[[nodiscard]] base::Result<std::string> policy_text(const Draft& draft, std::string_view from);

base::Status read_agent_sandbox(const Input& input, Draft& draft);
base::Status read_boundary(const Input& input, Draft& draft);
base::Status read_claude_settings(const Input& input, Draft& draft);
base::Status read_codex(const Input& input, Draft& draft);
base::Status read_domain_list(const Input& input, Draft& draft);
base::Status read_gh_aw(const Input& input, Draft& draft);
base::Status read_harden_runner(const Input& input, Draft& draft);
base::Status read_httpjail(const Input& input, Draft& draft);
base::Status read_init_firewall(const Input& input, Draft& draft);
base::Status read_openshell(const Input& input, Draft& draft);
base::Status read_squid(const Input& input, Draft& draft);

}  // namespace soleroute::gateway::importers
