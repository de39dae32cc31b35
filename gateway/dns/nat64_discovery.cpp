// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/nat64_discovery.h"

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "gateway/dns/await.h"
#include "gateway/dns/cache.h"

namespace soleroute::gateway::dns {

// While nothing is answered, what was found stays: it can only deny more.
boost::asio::awaitable<void> discover_nat64(boost::asio::io_context& io, Resolver& resolver,
                                            std::shared_ptr<net::Nat64Book> book, std::function<void()> news) {
  const auto name = base::HostName::parse("ipv4only.arpa");
  boost::asio::steady_timer timer(io);
  for (;;) {
    const auto found = co_await resolver.lookup(*name, sniffer::DnsType::kAaaa);
    if (found && book->discovered(policy::discovered_prefixes((*found)->addresses))) news();
    timer.expires_after(found ? std::chrono::seconds(kNat64Again) : kNat64AfterFailure);
    const auto [ended] = co_await timer.async_wait(kAwait);
    if (ended) co_return;
  }
}

}  // namespace soleroute::gateway::dns
