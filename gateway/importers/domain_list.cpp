// gh-aw-firewall (awf): a file of domains, or a command line with --allow-domains and --block-domains.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include "base/text.h"
#include "gateway/importers/formats.h"
#include "gateway/importers/text_scan.h"

namespace soleroute::gateway::importers {
namespace {

void add_all(std::string_view text, Verdict verdict, Draft& draft) {
  for (const auto name : split(text, ", \t\r\n\\")) {
    draft.target(verdict, name, Reach::kNameAndBelow, Reach::kBelow);
  }
}

}  // namespace

base::Status read_domain_list(const Input& input, Draft& draft) {
  draft.mean("There, a bare name covers the names below it too: it is \"*.\" and the name here.");
  const auto allowed = option_values(input.text, "--allow-domains");
  const auto blocked = option_values(input.text, "--block-domains");
  for (const auto& list : allowed) add_all(list, Verdict::kAllow, draft);
  for (const auto& list : blocked) add_all(list, Verdict::kDeny, draft);
  for (const auto& file : option_values(input.text, "--allow-domains-file")) {
    draft.omit("--allow-domains-file " + file, "import that file too");
  }
  for (const auto& file : option_values(input.text, "--block-domains-file")) {
    draft.omit("--block-domains-file " + file, "write its names under deny", Verdict::kDeny);
  }
  for (const auto& url : option_values(input.text, "--allow-urls")) {
    draft.omit("--allow-urls " + url, "write it as a rule with a path of the host");
  }
  if (!allowed.empty() || !blocked.empty() || input.text.contains("--allow-domains-file")) return {};
  for (const auto line : base::lines_of(input.text)) add_all(without_comment(line), Verdict::kAllow, draft);
  return {};
}

}  // namespace soleroute::gateway::importers
