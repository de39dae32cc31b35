// init-firewall.sh of the development container that Anthropic publishes: the names whose addresses it allows.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include "base/text.h"
#include "gateway/importers/formats.h"
#include "gateway/importers/text_scan.h"

namespace soleroute::gateway::importers {
namespace {

bool lists_domains(std::string_view name) {
  return name.contains("DOMAIN") || name.contains("domains");
}

// The words of `for domain in …; do`, of an array NAME=(…), and of NAME="…", where NAME has DOMAIN in it.
std::vector<std::string_view> lists_of(std::string_view script) {
  std::vector<std::string_view> out;
  constexpr std::string_view kFor = "for domain in";
  for (auto at = script.find(kFor); at != std::string_view::npos; at = script.find(kFor, at + 1)) {
    const auto rest = script.substr(at + kFor.size());
    out.push_back(rest.substr(0, std::min(rest.find("; do"), rest.find("\ndo"))));
  }
  for (auto at = script.find('='); at != std::string_view::npos; at = script.find('=', at + 1)) {
    const auto before = script.substr(0, at);
    const auto begin = before.find_last_of(" \t\n;") + 1;
    const auto rest = script.substr(at + 1);
    if (!lists_domains(before.substr(begin)) || rest.empty()) continue;
    const char close = rest.front() == '(' ? ')' : rest.front();
    if (close == ')' || close == '"') out.push_back(rest.substr(1, rest.find(close, 1) - 1));
  }
  return out;
}

}  // namespace

base::Status read_init_firewall(const Input& input, Draft& draft) {
  draft.mean("There, the addresses of a name are open on every port; here, the name is, over http and https.");
  std::string script;
  for (const auto line : base::lines_of(input.text)) script.append(without_comment(line)).append("\n");
  for (const auto list : lists_of(script)) {
    for (auto word : split(list, " \t\r\n\\\"'")) {
      if (word.contains('$') || !word.contains('.')) continue;
      draft.target(Verdict::kAllow, word, Reach::kName, Reach::kBelow);
    }
  }
  if (draft.entries().empty()) return base::usage_error(fmt::format("{}: lists no domains", base::shown(input.name)));
  if (script.contains("api.github.com/meta")) draft.service("github", "the ranges of api.github.com/meta");
  if (script.contains("--dport 22")) draft.omit("--dport 22", "SSH to every host; list each under endpoints");
  if (script.contains("HOST_NETWORK")) draft.omit("HOST_NETWORK", "the container's network; list its hosts");
  if (script.contains("--dport 53")) draft.omit("--dport 53", "DNS to every server; the gateway answers DNS itself");
  return {};
}

}  // namespace soleroute::gateway::importers
