// One question to one upstream server: over UDP from a port, id and letter case that cannot be guessed, else over TCP.
// Used on the worker's thread; every wait is under the given time-out.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::dns {

enum class ExchangeFault : std::uint8_t {
  kTimedOut,
  kUnreachable,  // refused, no route, reset
  kMalformed,    // not a DNS response as sniffer reads them
  kTruncated,    // asks for TCP
  kCaseLost,     // right but for the letter case: a careless server, or a forger who cannot see the question
  kForgeries,    // kMaxMismatches datagrams that did not answer the question
  kServerFault,  // an RCODE other than NOERROR and NXDOMAIN
  kSystem,       // no socket, no mark, no randomness
};
[[nodiscard]] std::string_view to_string(ExchangeFault fault);

struct ExchangeRequest {
  base::Endpoint server;
  base::HostName name;
  sniffer::DnsType type = sniffer::DnsType::kA;
  std::uint32_t mark = 0;
  std::chrono::milliseconds timeout{0};
};

using ExchangeResult = std::expected<sniffer::DnsResponse, ExchangeFault>;

inline constexpr std::size_t kMaxMismatches = 8;

// A fresh connected socket each time: the kernel picks a random port and drops what other addresses send (RFC 5452).
[[nodiscard]] boost::asio::awaitable<ExchangeResult> exchange_udp(boost::asio::io_context& io, ExchangeRequest request);
// RFC 7766; without EDNS, which only UDP needs here.
[[nodiscard]] boost::asio::awaitable<ExchangeResult> exchange_tcp(boost::asio::io_context& io, ExchangeRequest request);
// UDP, and TCP once where that can help, both within the time-out.
[[nodiscard]] boost::asio::awaitable<ExchangeResult> exchange(boost::asio::io_context& io, ExchangeRequest request);

}  // namespace soleroute::gateway::dns
