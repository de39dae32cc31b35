// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/upstreams.h"

#include <algorithm>
#include <utility>

namespace soleroute::gateway::dns {

base::Result<Upstream> Upstream::parse(std::string_view text) {
  Upstream upstream;
  if (const auto equals = text.find('='); equals != std::string_view::npos) {
    std::string_view suffix = text.substr(0, equals);
    if (suffix.starts_with("*.")) suffix.remove_prefix(2);
    if (suffix.starts_with('.')) suffix.remove_prefix(1);
    SR_LET(name, base::HostName::parse(suffix));
    upstream.suffix = std::move(*name);
    text.remove_prefix(equals + 1);
  }
  SR_LET(server, base::Endpoint::parse(text, kDnsPort));
  upstream.server = *server;
  return upstream;
}

std::string Upstream::to_string() const {
  return (suffix ? suffix->text() + "=" : std::string{}) + server.to_string();
}

const base::HostName* suffix_for(const std::vector<Upstream>& upstreams, const base::HostName& name) {
  const base::HostName* best = nullptr;
  for (const Upstream& upstream : upstreams) {
    if (!upstream.suffix || (name != *upstream.suffix && !name.is_below(upstream.suffix->text()))) continue;
    if (best == nullptr || upstream.suffix->text().size() > best->text().size()) best = &*upstream.suffix;
  }
  return best;
}

bool may_follow(const std::vector<Upstream>& upstreams, const base::HostName& name, const base::HostName& target) {
  const base::HostName* const to = suffix_for(upstreams, target);
  return to == nullptr || to == suffix_for(upstreams, name);
}

bool has_general(const std::vector<Upstream>& upstreams) {
  return std::ranges::any_of(upstreams, [](const Upstream& upstream) { return !upstream.suffix; });
}

}  // namespace soleroute::gateway::dns
