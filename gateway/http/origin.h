// The far side of inspected https: what the sessions behind a terminated TLS handshake are given, and how they reach
// the origin. Used on its worker's thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <expected>
#include <memory>
#include <vector>

#include "base/host_name.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/context.h"

namespace soleroute::gateway::http {

enum class HttpVersion : std::uint8_t { kHttp1, kHttp2 };

struct OriginConnection {
  std::unique_ptr<net::Stream> stream;  // TLS, its certificate verified for the name that was asked for
  HttpVersion version = HttpVersion::kHttp1;
  std::optional<base::IpAddress> leads_to{};  // the address, where no proxy is on the way
};

// Where requests to one inspected host go.
class OriginSource {
 public:
  virtual ~OriginSource() = default;
  // A connection that nobody else uses: kept from before for this client and snapshot, or dialled, handshaken and
  // verified. `offered`: what the client can carry; the origin chooses. A bad certificate is kUpstreamFailed, its
  // message says what is wrong with it.
  [[nodiscard]] virtual boost::asio::awaitable<std::expected<OriginConnection, flow::DialFailure>> connect(
      std::vector<HttpVersion> offered) = 0;
  // A connection that can carry further requests.
  virtual void give_back(OriginConnection connection) = 0;
};

// A client whose TLS the gateway has terminated with a leaf for `name`.
struct InspectedClient {
  flow::ClientConnection connection;  // its stream is the decrypted one
  base::HostName name;                // the SNI; every request's authority must be it, or is answered 421
};

}  // namespace soleroute::gateway::http
