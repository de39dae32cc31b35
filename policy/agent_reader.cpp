// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/agent_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/text.h"
#include "policy/agent_table.h"

namespace soleroute::policy {

using base::Status;

Status AgentReader::name(const YamlNode& node, std::string& out) const {
  SR_LET(text, yaml_.text(node, "name"));
  const auto fits = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  if (text->empty() || text->size() > kMaxAgentName || !std::ranges::all_of(*text, fits)) {
    return yaml_.error(node,
                       fmt::format("'{}' is not a name of an agent: letters, digits, '-', '_' and '.', at most {}",
                                   base::shown(*text), kMaxAgentName));
  }
  out = *text;
  return {};
}

Status AgentReader::addresses(const YamlNode& node, std::vector<AddressEntry>& out) const {
  return yaml_.each(node, "addresses", false, [&](const YamlNode& item) -> Status {
    AddressEntry entry{.range = {}, .position = item.position};
    SR_TRY(values_.cidr(item, "addresses", entry.range));
    const auto& address = entry.range.address();
    if (address != address.unmapped()) return yaml_.error(item, "write an IPv4 address as 192.0.2.1, not inside IPv6");
    if (is_link_local(address)) {
      return yaml_.error(item, "a link-local address does not tell agents apart: any program may use one");
    }
    if (out.size() == kMaxAgentAddresses) {
      return yaml_.error(item, fmt::format("more than {} addresses of one agent", kMaxAgentAddresses));
    }
    out.push_back(entry);
    return {};
  });
}

Status AgentReader::check(const YamlNode& item, const AgentEntry& entry, const std::vector<AgentEntry>& before) const {
  if (entry.name.empty()) return yaml_.error(item, "an item of agents needs a 'name'");
  if (std::ranges::find(before, entry.name, &AgentEntry::name) == before.end()) return {};
  return yaml_.error(item, fmt::format("agent {} is listed twice in this file", entry.name));
}

}  // namespace soleroute::policy
