// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/importers/formats.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace soleroute::gateway::importers {
namespace {

constexpr std::array<Format, 12> kFormats{{
    {"agent-sandbox", "its policy files, later ones over earlier", read_agent_sandbox},
    {"boundary", "config.yaml of Coder's boundary, or its --allow options", read_boundary},
    {"claude-code", "settings.json: sandbox.network and WebFetch rules", read_claude_settings},
    {"codex", "config.toml: network sections", read_codex},
    {"gh-aw", "network: of a workflow's Markdown", read_gh_aw},
    {"gh-aw-firewall", "a list of domains, or awf's options", read_domain_list},
    {"harden-runner", "allowed-endpoints of a workflow", read_harden_runner},
    {"httpjail", "a rule in JavaScript", read_httpjail},
    {"init-firewall", "init-firewall.sh of a development container", read_init_firewall},
    {"openshell", "network_policies of a sandbox policy", read_openshell},
    {"sandbox-runtime", "settings of srt", read_claude_settings},
    {"squid", "acl and http_access lines of squid.conf", read_squid},
}};

struct Mark {
  std::string_view format;
  std::string_view text;  // that only files of this format have
};

// In this order: what comes first decides.
constexpr std::array<Mark, 19> kMarks{{{"squid", "http_access "},
                                       {"openshell", "network_policies:"},
                                       {"codex", "default_permissions"},
                                       {"codex", ".network]"},
                                       {"codex", "network_access ="},
                                       {"codex", "[experimental_network]"},
                                       {"claude-code", "\"sandbox\""},
                                       {"claude-code", "\"permissions\""},
                                       {"sandbox-runtime", "\"allowedDomains\""},
                                       {"gh-aw-firewall", "--allow-domains"},
                                       {"gh-aw-firewall", "--block-domains"},
                                       {"harden-runner", "allowed-endpoints:"},
                                       {"init-firewall", "iptables"},
                                       {"boundary", "domain="},
                                       {"httpjail", "r.host"},
                                       {"gh-aw", "\nnetwork:"},
                                       {"gh-aw", "---\nnetwork:"},
                                       {"agent-sandbox", "services:"},
                                       {"agent-sandbox", "domains:"}}};

bool is_endpoint_list(std::string_view text) {
  const auto lines = base::lines_of(text);
  return !lines.empty() && std::ranges::all_of(lines, [](std::string_view line) {
    return line.empty() || (line.contains(':') && line.find_first_of(" {}[]\"") == std::string_view::npos);
  });
}

std::string comment(std::string_view text) {
  std::string out = base::shown(text);
  return "# " + out + "\n";
}

}  // namespace

std::span<const Format> formats() {
  return kFormats;
}

const Format* find_format(std::string_view name) {
  const auto found = std::ranges::find(kFormats, name, &Format::name);
  return found == kFormats.end() ? nullptr : &*found;
}

const Format* guess_format(const Input& input) {
  for (const auto& mark : kMarks) {
    if (input.text.contains(mark.text)) return find_format(mark.format);
  }
  if (is_endpoint_list(input.text)) return find_format("harden-runner");
  return input.name.ends_with(".txt") ? find_format("gh-aw-firewall") : nullptr;
}

base::Result<std::string> policy_text(const Draft& draft, std::string_view from) {
  std::string head = comment(fmt::format("Imported from {}. Review it: it lets an agent reach these hosts.", from));
  for (const auto& sentence : draft.meanings()) head += comment(sentence);
  SR_LET(text, policy::with_entries({"import", head}, draft.entries()));
  for (const bool exceptions : {true, false}) {
    std::string list;
    for (const auto& omission : draft.omissions()) {
      if (omission.exception != exceptions) continue;
      list += comment(fmt::format("  - {}: {}", base::shown(omission.what), omission.why));
    }
    if (list.empty()) continue;
    *text += exceptions ? "# EXCEPTIONS THAT ARE NOT IMPORTED. The lines above may allow them:\n" : "# Not imported:\n";
    *text += list;
  }
  return text;
}

}  // namespace soleroute::gateway::importers
