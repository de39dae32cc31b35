// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/upstream_route.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

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

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  line = line.substr(0, line.find('#'));
  constexpr std::string_view kBlank = " \t\r";
  for (auto begin = line.find_first_not_of(kBlank); begin != std::string_view::npos;) {
    const auto end = std::min(line.find_first_of(kBlank, begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(kBlank, end);
  }
  return words;
}

}  // namespace

std::vector<base::IpAddress> addresses_in_hosts(std::string_view text, const base::HostName& name) {
  std::vector<base::IpAddress> found;
  for (const std::string_view line : base::lines_of(text)) {
    const auto words = words_of(line);
    const auto is_it = [&name](std::string_view word) {
      const auto parsed = base::HostName::parse(word);
      return parsed && *parsed == name;
    };
    if (words.size() < 2 || std::none_of(words.begin() + 1, words.end(), is_it)) continue;
    if (const auto address = base::IpAddress::parse(words.front())) found.push_back(*address);
  }
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
