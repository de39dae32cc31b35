// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/endpoint_lookups.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

namespace soleroute::gateway::dns {
namespace {

namespace asio = boost::asio;

// Longer than the resolver needs for any question. If a question never ends, the connection is refused after this.
constexpr std::chrono::seconds kLongest{10};

}  // namespace

// The look-ups of one connection.
struct EndpointLookups::Round {
  explicit Round(asio::io_context& io) : over(io) {}
  asio::steady_timer over;  // cancelled with the last of them
  std::size_t left = 0;
};

EndpointLookups::EndpointLookups(asio::io_context& io, Resolver& resolver, ReverseNames& names)
    : io_(io), resolver_(resolver), names_(names) {}
EndpointLookups::~EndpointLookups() = default;

asio::awaitable<void> EndpointLookups::look_up_one(base::HostName name, base::IpAddress client,
                                                   std::shared_ptr<Round> round) {
  const auto found = co_await resolver_.resolve(name, client);
  const auto now = Clock::now();
  ended_.touch(name) = now;
  if (found) {
    names_.remember(name, found->v4, now + found->ttl);
    names_.remember(name, found->v6, now + found->ttl);
  }
  if (--round->left == 0) round->over.cancel();
}

asio::awaitable<void> EndpointLookups::look_up(std::vector<base::HostName> names, base::IpAddress client) {
  const auto now = Clock::now();
  std::erase_if(names, [&](const base::HostName& name) {
    const auto* ended = ended_.find(name);
    return ended != nullptr && now - *ended < kPause;
  });
  if (names.size() > kMaxNames) names.erase(names.begin() + kMaxNames, names.end());
  if (names.empty()) co_return;
  auto round = std::make_shared<Round>(io_);
  round->left = names.size();
  round->over.expires_after(kLongest);
  for (auto& name : names) {
    auto one = look_up_one(std::move(name), client, round);
    asio::co_spawn(io_, std::move(one), [](const std::exception_ptr&) {});
  }
  if (round->left > 0) co_await round->over.async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace soleroute::gateway::dns
