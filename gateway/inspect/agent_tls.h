// The gateway as the server of an agent's TLS: with a leaf for the name that the gateway itself read, and for no other.
// One for the process; never changes, shared by workers.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/host_name.h"
#include "base/result.h"
#include "gateway/inspect/leaf.h"
#include "gateway/inspect/tls_stream.h"

namespace soleroute::gateway::inspect {

struct SslContextDeleter {
  void operator()(SSL_CTX* context) const;
};
using SslContextPtr = std::unique_ptr<SSL_CTX, SslContextDeleter>;

// What a handshake is to become.
struct Accepting {
  base::HostName name;  // the SNI; every ClientHello of the connection must carry it, and no ticket of another counts
  std::string alpn;     // what is agreed upon; empty: nothing is
};

class AgentTls {
 public:
  // TLS 1.2 and 1.3, no early data, no renegotiation.
  [[nodiscard]] static base::Result<std::shared_ptr<const AgentTls>> make();

  // `read`: what has been read of the stream, from the ClientHello on. handshake() comes next.
  [[nodiscard]] std::unique_ptr<TlsStream> accept(std::unique_ptr<net::Stream> below, std::vector<std::byte> read,
                                                  Accepting what, const Leaf& leaf) const;

 private:
  explicit AgentTls(SslContextPtr context) : context_(std::move(context)) {}
  SslContextPtr context_;
};

}  // namespace soleroute::gateway::inspect
