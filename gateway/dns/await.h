// How the DNS coroutines wait: errors as values, and no exception out of a detached coroutine.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

namespace soleroute::gateway::dns {

inline constexpr auto kAwait = boost::asio::as_tuple(boost::asio::use_awaitable);
inline constexpr auto kIgnore = [](const std::exception_ptr&) {};  // of co_spawn

}  // namespace soleroute::gateway::dns
