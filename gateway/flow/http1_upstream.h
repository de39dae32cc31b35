// The connection to an origin that serves one client connection's requests to one host, and no other's.
// Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/host_name.h"
#include "gateway/flow/http1_buffer.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::flow {

class Upstream {
 public:
  // Can it take another request to this host? The end of the stream, or bytes that answer nothing, make it unfit: a
  // response that an origin queued in advance is never delivered to a later request.
  [[nodiscard]] bool ready_for(const base::HostName& host, std::uint16_t port);
  void connected(std::unique_ptr<net::Stream> stream, base::HostName host, std::uint16_t port);
  void close();

  [[nodiscard]] bool is_connected() const { return stream_ != nullptr && stream_->is_open(); }
  // Precondition: connected() was called.
  [[nodiscard]] net::Stream& stream() { return *stream_; }
  [[nodiscard]] ReadBuffer& received() { return received_; }

 private:
  std::unique_ptr<net::Stream> stream_;  // kept when closed: a wait on it may still have to end
  ReadBuffer received_;
  std::optional<base::HostName> host_;
  std::uint16_t port_ = 0;
};

}  // namespace soleroute::gateway::flow
