// The connector's way through an upstream proxy.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "gateway/flow/connector.h"
#include "gateway/flow/proxy_tunnel.h"

namespace soleroute::gateway::flow {
namespace {

namespace asio = boost::asio;
using Outcome = std::expected<Dialled, DialFailure>;
using Kind = UpstreamProxy::Kind;

constexpr std::chrono::milliseconds kProxyHandshakeTimeout{10000};

DialFailure of_proxy(const UpstreamProxy& proxy, DialFailure failure) {
  failure.message = fmt::format("upstream proxy {}: {}", proxy.place(), failure.message);
  return failure;
}

std::vector<base::IpAddress> all_of(const dns::Addresses& found) {
  std::vector<base::IpAddress> all = found.v4;
  all.insert(all.end(), found.v6.begin(), found.v6.end());
  return all;
}

// The name, and where it has one label, the name in each search domain.
std::vector<base::HostName> spellings(const UpstreamRoute& route) {
  std::vector<base::HostName> names{*route.proxy->name};
  if (!names.front().parent().empty()) return names;
  for (const std::string& domain : route.search) {
    if (auto full = base::HostName::parse(names.front().text() + "." + domain)) names.push_back(std::move(*full));
  }
  return names;
}

}  // namespace

asio::awaitable<Outcome> Connector::dial_by_route(DialRequest request) {
  const auto way = co_await way_to(request);
  if (!way) co_return std::unexpected(way.error());
  if (*way == Way::kDirect) {
    if (!route_->proxy->is_direct(request.name)) request.only = route_->proxy->direct_networks;
    co_return co_await dial_directly(std::move(request));
  }
  const auto carries = request.in_clear ? Carries::kHttpInClear : Carries::kAnything;
  const base::Endpoint remote{{}, request.port};
  auto connection = co_await ask_proxy(request.name, remote, request.client, carries);
  if (!connection) co_return connection;
  const auto written = co_await connection->stream->write_all(request.first_bytes);
  if (!written) co_return dial_failed(policy::Reason::kUpstreamFailed, "the upstream proxy closed the connection");
  co_return connection;
}

asio::awaitable<Outcome> Connector::ask_proxy(std::optional<base::HostName> name, base::Endpoint remote,
                                              base::IpAddress client, Carries carries) {
  const auto route = route_;
  const bool forwards = carries == Carries::kHttpInClear && route->proxy->kind != Kind::kSocks5h;
  if (!forwards) co_return co_await tunnel(std::move(name), remote, client);
  auto connection = co_await connect_to_proxy(client);
  if (connection) connection->forwarder = route->proxy;
  co_return connection;
}

// A name is looked up here only where its addresses matter: for ranges that are dialled directly, and in observe mode,
// which lets nothing pass that is known to be private.
asio::awaitable<std::expected<Connector::Way, DialFailure>> Connector::way_to(const DialRequest& request) {
  const UpstreamProxy& proxy = *route_->proxy;
  if (proxy.is_direct(request.name)) co_return Way::kDirect;
  if (proxy.direct_networks.empty() && request.allowed) co_return Way::kProxy;
  std::shared_ptr<const dns::Addresses> found = resolver_.cached(request.name, request.client);
  if (!found) {
    auto fresh = co_await resolver_.resolve(request.name, request.client);
    if (!fresh) co_return Way::kProxy;
    found = std::make_shared<const dns::Addresses>(std::move(*fresh));
  }
  const auto addresses = all_of(*found);
  const auto directly = [&proxy](const auto& address) {
    return std::ranges::any_of(proxy.direct_networks, [&](const auto& network) { return network.contains(address); });
  };
  if (std::ranges::any_of(addresses, directly)) co_return Way::kDirect;
  if (request.allowed || addresses.empty()) co_return Way::kProxy;
  auto public_ones = to_be_tried(addresses, request);
  if (!public_ones) co_return std::unexpected(std::move(public_ones.error()));
  co_return Way::kProxy;
}

asio::awaitable<std::expected<std::vector<base::IpAddress>, DialFailure>> Connector::proxy_addresses(
    base::IpAddress client) {
  const UpstreamProxy& proxy = *route_->proxy;
  if (!proxy.name) co_return std::vector{proxy.address};
  if (!route_->addresses.empty()) co_return route_->addresses;
  if (proxy.name->text() == "localhost" || proxy.name->is_below("localhost")) {
    co_return std::vector{base::IpAddress::v4({127, 0, 0, 1})};
  }
  std::string fault = "has no address";
  for (const base::HostName& name : spellings(*route_)) {
    auto found = co_await resolver_.resolve(name, client);
    if (found && !(found->v4.empty() && found->v6.empty())) co_return all_of(*found);
    if (!found) fault = "cannot be resolved: " + found.error().message;
  }
  co_return dial_failed(policy::Reason::kUpstreamFailed, fmt::format("upstream proxy {} {}", proxy.place(), fault),
                        DialFault::kName);
}

asio::awaitable<Outcome> Connector::connect_to_proxy(base::IpAddress client) {
  const auto route = route_;
  const UpstreamProxy& proxy = *route->proxy;
  auto addresses = co_await proxy_addresses(client);
  if (!addresses) co_return std::unexpected(std::move(addresses.error()));
  auto connection = co_await race(std::move(*addresses), proxy.port, client);
  if (!connection) co_return std::unexpected(of_proxy(proxy, std::move(connection.error())));
  if (proxy.kind != Kind::kHttps) co_return connection;
  connection->stream->expires_after(kProxyHandshakeTimeout);
  std::vector<std::string> protocols{"http/1.1"};
  auto secured =
      co_await route->tls->connect(std::move(connection->stream), *proxy.name, std::move(protocols), proxy_sessions_);
  if (!secured) {
    const auto& fault = secured.error();
    const auto reason = fault.timed_out ? policy::Reason::kTimedOut : policy::Reason::kUpstreamFailed;
    co_return dial_failed(reason, "upstream proxy " + fault.message,
                          fault.certificate ? DialFault::kCertificate : DialFault::kTls);
  }
  connection->stream = std::move(*secured);
  co_return connection;
}

asio::awaitable<Outcome> Connector::tunnel(std::optional<base::HostName> name, base::Endpoint remote,
                                           base::IpAddress client) {
  const auto route = route_;
  auto connection = co_await connect_to_proxy(client);
  if (!connection) co_return connection;
  ProxyTarget target{std::move(name), remote.address, remote.port};
  const auto asked = co_await ask_for_tunnel(*connection->stream, *route->proxy, std::move(target));
  if (!asked) co_return std::unexpected(asked.error());
  co_return connection;
}

}  // namespace soleroute::gateway::flow
