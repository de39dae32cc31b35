// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/upstream_route.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/hosts_file.h"
#include "base/text.h"
#include "gateway/host/system_resolvers.h"
#include "gateway/inspect/origin_tls.h"

namespace soleroute::gateway::serve {
namespace {

constexpr std::size_t kMaxPasswordFile = 4096;
constexpr std::size_t kMaxHostsFile = std::size_t{1} << 20;

base::Status read_password(const std::string& file, const host::FileReader& read, flow::UpstreamProxy& proxy) {
  const auto told = [&file](const base::Error& error) {
    return base::usage_error(fmt::format("--upstream-proxy-password-file: {}: {}", base::shown(file), error.message));
  };
  auto text = read(file, kMaxPasswordFile);
  if (!text) return std::unexpected(text.error());
  if (auto set = flow::set_password(proxy, std::move(*text)); !set) return told(set.error());
  return {};
}

}  // namespace

std::vector<base::IpAddress> addresses_in_hosts(std::string_view text, const base::HostName& name) {
  std::vector<base::IpAddress> found;
  base::for_each_host(text, [&](const base::IpAddress& address, std::string_view word) {
    const auto parsed = base::HostName::parse(word);
    const bool again = std::ranges::find(found, address) != found.end();
    if (parsed && *parsed == name && !again) found.push_back(address);
  });
  return found;
}

base::Result<std::shared_ptr<const flow::UpstreamRoute>> make_upstream_route(std::optional<flow::UpstreamProxy> proxy,
                                                                             const std::string& password_file,
                                                                             const std::string& origin_roots,
                                                                             const std::string& hosts_file,
                                                                             const host::FileReader& read) {
  if (!proxy) return nullptr;
  if (!password_file.empty()) {
    SR_TRY(read_password(password_file, read, *proxy));
  }
  auto route = std::make_shared<flow::UpstreamRoute>();
  if (proxy->kind == flow::UpstreamProxy::Kind::kHttps) {
    SR_LET(tls, inspect::OriginTls::make(origin_roots));
    route->tls = std::move(*tls);
  }
  if (proxy->name) {
    for (const auto& domain : host::system_search_domains().domains) route->search.push_back(domain.text());
    const auto hosts =
        hosts_file.empty() ? base::Result<std::string>("") : host::read_small_file(hosts_file, kMaxHostsFile);
    if (hosts) {
      route->addresses = addresses_in_hosts(*hosts, *proxy->name);
    }
  }
  route->proxy = std::make_shared<const flow::UpstreamProxy>(std::move(*proxy));
  return route;
}

std::string describe(const flow::UpstreamProxy& proxy) {
  return proxy.url() + proxy.exceptions();
}

}  // namespace soleroute::gateway::serve
