// Inspected https: what the flows behind a terminated TLS handshake are given, and how they reach the origin.
// Used on its worker's thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/flow_context.h"
#include "gateway/flow/flows.h"
#include "gateway/flow/refusal.h"

namespace soleroute::gateway::flow {

enum class HttpVersion : std::uint8_t { kHttp1, kHttp2 };

struct OriginConnection {
  std::unique_ptr<net::Stream> stream;  // TLS, its certificate verified for the name that was asked for
  HttpVersion version = HttpVersion::kHttp1;
};

// Where requests to one inspected host go.
class OriginSource {
 public:
  virtual ~OriginSource() = default;
  // A connection that nobody else uses: kept from before for this client and snapshot, or dialled, handshaken and
  // verified. `offered`: what the client can carry; the origin chooses. A bad certificate is kUpstreamFailed, its
  // message says what is wrong with it.
  [[nodiscard]] virtual boost::asio::awaitable<std::expected<OriginConnection, DialFailure>> connect(
      std::vector<HttpVersion> offered) = 0;
  // A connection that can carry further requests.
  virtual void give_back(OriginConnection connection) = 0;
};

// A client whose TLS the gateway has terminated with a leaf for `name`.
struct InspectedClient {
  ClientConnection connection;  // its stream is the decrypted one
  base::HostName name;          // the SNI; every request's authority must be it, or is answered 421
};

// Requests inside inspected TLS, each decided with scheme https (flow/http1_*.cpp, flow/http2_*.cpp). `first` is the
// connection over which ALPN was negotiated, if there is one already.
[[nodiscard]] boost::asio::awaitable<void> serve_inspected_http1(FlowContext& context, InspectedClient client,
                                                                 OriginSource& origins,
                                                                 std::optional<OriginConnection> first);
[[nodiscard]] boost::asio::awaitable<void> serve_inspected_http2(FlowContext& context, InspectedClient client,
                                                                 OriginSource& origins,
                                                                 std::optional<OriginConnection> first);

// What the ClientHello of a connection said.
struct TlsAsked {
  base::HostName name;
  std::vector<std::string> alpn;
};

// What a decision about a connection comes to here: without a CA, what may only pass inspected does not pass.
[[nodiscard]] policy::Decision feasible(const FlowContext& context, policy::Decision decision);

// An allowed connection that the policy wants inspected: the origin first, then the client, then its requests.
// Precondition: context.inspection.
[[nodiscard]] boost::asio::awaitable<void> serve_inspected(FlowContext& context, ClientConnection client,
                                                           ReadAhead read, TlsAsked asked);
// A denied connection: its requests are answered with the page of DESIGN section 10, over a leaf for the name, which is
// never dialled. `refusal` is what the log says if the client takes no leaf. An alert tells a client that asks for too
// many names, and any where there is no CA. Precondition: HTTP is among what the client speaks.
[[nodiscard]] boost::asio::awaitable<void> serve_refused(FlowContext& context, ClientConnection client, ReadAhead read,
                                                         TlsAsked asked, Refusal refusal);

}  // namespace soleroute::gateway::flow
