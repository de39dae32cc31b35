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
#include <memory>
#include <optional>
#include <string_view>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/dns/upstream_traits.h"
#include "gateway/net/stream.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::dns {

enum class ExchangeFault : std::uint8_t {
  kTimedOut,
  kUnreachable,  // refused, no route, reset
  kMalformed,    // not a DNS response as sniffer reads them
  kTruncated,    // asks for TCP
  kCaseLost,     // right but for the letter case: a careless server, or a forger who cannot see the question
  kForgeries,    // kMaxMismatches datagrams that did not answer the question
  kNoEdns,       // FORMERR, NOTIMP or BADVERS, as servers say that do not know EDNS (RFC 6891 section 7)
  kServerFault,  // another RCODE than NOERROR and NXDOMAIN
  kSystem,       // no socket, no mark, no randomness
};
[[nodiscard]] std::string_view to_string(ExchangeFault fault);

struct ExchangeRequest {
  base::Endpoint server;
  base::HostName name;
  sniffer::DnsType type = sniffer::DnsType::kA;
  std::uint32_t mark = 0;
  std::chrono::milliseconds timeout{0};
  bool edns = true;                            // false: not asked with it
  std::chrono::milliseconds case_patience{0};  // after an answer that lost the letter case, for one that has kept it
};

using ExchangeResult = std::expected<sniffer::DnsResponse, ExchangeFault>;

inline constexpr std::size_t kMaxMismatches = 8;

// An answer about the name, not about the server.
[[nodiscard]] bool is_usable(sniffer::DnsRcode rcode);

// What came back over UDP. With a fault, the response is what may be used if nothing better is to be had.
struct Heard {
  std::optional<ExchangeFault> fault{};
  std::optional<sniffer::DnsResponse> response{};
  sniffer::DnsRcode rcode = sniffer::DnsRcode::kNoError;  // also where there is no response
};

// A fresh connected socket each time: the kernel picks a random port and drops what other addresses send (RFC 5452).
[[nodiscard]] boost::asio::awaitable<Heard> exchange_udp(boost::asio::io_context& io, ExchangeRequest request);
// RFC 7766; without EDNS, which only UDP needs here.
[[nodiscard]] boost::asio::awaitable<ExchangeResult> exchange_tcp(boost::asio::io_context& io, ExchangeRequest request);

// The same over a connection that is up, under the deadline that is set on it. kUnreachable: it has ended.
[[nodiscard]] boost::asio::awaitable<ExchangeResult> exchange_over(net::Stream& stream, ExchangeRequest request);

// All that may help with this server, within the time-out: UDP with EDNS and without it, TCP, UDP again. What it shows
// is remembered in `traits`, never null.
[[nodiscard]] boost::asio::awaitable<ExchangeResult> exchange(boost::asio::io_context& io, ExchangeRequest request,
                                                              std::shared_ptr<UpstreamTraits> traits);

// The same to find out what a server cannot do, TCP included. False: it said nothing.
[[nodiscard]] boost::asio::awaitable<bool> examine(boost::asio::io_context& io, ExchangeRequest request,
                                                   std::shared_ptr<UpstreamTraits> traits);

}  // namespace soleroute::gateway::dns
