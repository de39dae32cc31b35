// Asks upstream which NAT64 prefix this network has (RFC 7050), at the start and from time to time.
// On the resolver's thread; ends with its loop.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "gateway/dns/resolver.h"
#include "gateway/net/nat64_book.h"

namespace soleroute::gateway::dns {

inline constexpr std::chrono::minutes kNat64Again{10};         // after an answer
inline constexpr std::chrono::seconds kNat64AfterFailure{60};  // after none

// `news` is called when the discovered prefixes are others than before.
[[nodiscard]] boost::asio::awaitable<void> discover_nat64(boost::asio::io_context& io, Resolver& resolver,
                                                          std::shared_ptr<net::Nat64Book> book,
                                                          std::function<void()> news);

}  // namespace soleroute::gateway::dns
