// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/upstreams.h"

#include <algorithm>
#include <utility>

#include "policy/special_names.h"

namespace soleroute::gateway::dns {
namespace {

constexpr std::string_view kTls = "tls://";

}  // namespace

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
  if (!text.starts_with(kTls)) {
    SR_LET(server, base::Endpoint::parse(text, kDnsPort));
    upstream.server = *server;
    return upstream;
  }
  upstream.tls = true;
  text.remove_prefix(kTls.size());
  std::string address(text.substr(0, text.find('#')));
  if (address.size() < text.size()) {
    std::string_view name = text.substr(address.size() + 1);
    const auto colon = std::min(name.find(':'), name.size());
    address += name.substr(colon);  // the port may follow either
    SR_LET(host, base::HostName::parse(name.substr(0, colon)));
    upstream.tls_name = std::move(*host);
  }
  SR_LET(server, base::Endpoint::parse(address, kDnsOverTlsPort));
  upstream.server = *server;
  return upstream;
}

std::string Upstream::to_string() const {
  std::string text = suffix ? suffix->text() + "=" : std::string{};
  if (tls) text += kTls;
  text += server.to_string();
  return tls_name ? text + "#" + tls_name->text() : text;
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
  using policy::SpecialName;
  const bool inside = policy::special_name(target) == SpecialName::kLocal;
  if (inside && policy::special_name(name) != SpecialName::kLocal) return false;
  const base::HostName* const to = suffix_for(upstreams, target);
  return to == nullptr || to == suffix_for(upstreams, name);
}

bool has_general(const std::vector<Upstream>& upstreams) {
  return std::ranges::any_of(upstreams, [](const Upstream& upstream) { return !upstream.suffix; });
}

}  // namespace soleroute::gateway::dns
