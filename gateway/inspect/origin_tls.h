// The gateway as a client of origins: TLS whose certificate is verified for the name before a byte of a request is
// sent. One for the process; shared by workers, thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/inspect/agent_tls.h"
#include "gateway/inspect/origin_sessions.h"
#include "gateway/inspect/tls_stream.h"

namespace soleroute::gateway::inspect {

struct OriginFault {
  bool timed_out = false;
  bool no_common_protocol = false;  // it speaks none of those that were offered
  bool certificate = false;         // its certificate was refused
  std::string message;  // what exactly is wrong, with the name: "a.test: its certificate expired on 2026-11-01"
};

class OriginTls {
 public:
  // The system's roots, and `roots_pem`, which may be empty or hold several.
  [[nodiscard]] static base::Result<std::shared_ptr<const OriginTls>> make(std::string_view roots_pem);

  // A connection that is up and verified, under the deadline that is set. `protocols`: ALPN names in order of
  // preference. Sessions for later connections to the name go to `sessions`, and come from there.
  [[nodiscard]] boost::asio::awaitable<std::expected<std::unique_ptr<TlsStream>, OriginFault>> connect(
      std::unique_ptr<net::Stream> below, base::HostName name, std::vector<std::string> protocols,
      std::shared_ptr<OriginSessions> sessions) const;
  // The same to a server that is no origin: its certificate has this name, or this address. Nothing is resumed.
  [[nodiscard]] boost::asio::awaitable<std::expected<std::unique_ptr<TlsStream>, OriginFault>> connect_name(
      std::unique_ptr<net::Stream> below, base::HostName name) const;
  [[nodiscard]] boost::asio::awaitable<std::expected<std::unique_ptr<TlsStream>, OriginFault>> connect_address(
      std::unique_ptr<net::Stream> below, base::IpAddress address) const;

 private:
  struct Expected;
  [[nodiscard]] boost::asio::awaitable<std::expected<std::unique_ptr<TlsStream>, OriginFault>> connect_to(
      std::unique_ptr<net::Stream> below, Expected expected) const;
  explicit OriginTls(SslContextPtr context) : context_(std::move(context)) {}
  SslContextPtr context_;
  mutable std::once_flag system_roots_;  // read before the first connection
};

}  // namespace soleroute::gateway::inspect
