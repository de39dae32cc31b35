// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/static_host_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"
#include "policy/host_pattern.h"
#include "policy/special_names.h"

namespace soleroute::policy {

using base::Status;

Status StaticHostReader::address(const YamlNode& node, StaticHost& entry) const {
  if (!node.is_scalar()) return yaml_.wrong_type(node, "hosts", "an address");
  const auto parsed = base::IpAddress::parse(node.text);
  if (!parsed) return yaml_.error(node, fmt::format("hosts: {}", base::shown(parsed.error().message)));
  if (entry.addresses.size() == kMaxStaticAddresses) {
    return yaml_.error(node, fmt::format("more than {} addresses of one name", kMaxStaticAddresses));
  }
  if (std::ranges::find(entry.addresses, *parsed) == entry.addresses.end()) entry.addresses.push_back(*parsed);
  return {};
}

Status StaticHostReader::hosts(const YamlNode& node, std::vector<StaticHost>& out) const {
  if (node.is_null()) return {};
  if (!node.is_mapping()) return yaml_.wrong_type(node, "hosts", "a mapping from names to addresses");
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    const YamlNode& key = node.children[i];
    const YamlNode& value = node.children[i + 1];
    std::optional<HostPattern> pattern;
    SR_TRY(values_.host(key, pattern));
    if (pattern->wildcard) return yaml_.error(key, "hosts: needs one name, not a wildcard");
    const auto kind = special_name(pattern->name);
    if (kind == SpecialName::kGateway || is_never_forwarded(kind)) {
      return yaml_.error(key, fmt::format("hosts: {} cannot have other addresses", pattern->name.text()));
    }
    StaticHost entry{.name = std::move(pattern->name), .addresses = {}, .position = key.position};
    const auto one = [&](const YamlNode& item) { return address(item, entry); };
    SR_TRY(value.is_scalar() ? one(value) : yaml_.each(value, "hosts", false, one));
    out.push_back(std::move(entry));
  }
  return {};
}

}  // namespace soleroute::policy
