// The connection to an origin that serves one client connection's requests to one host, and no other's.
// Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "gateway/flow/upstream_proxy.h"
#include "gateway/http/h1/buffer.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::http::h1 {

class Upstream {
 public:
  // Can it take another request to this host? The end of the stream, or bytes that answer nothing, make it unfit: a
  // response that an origin queued in advance is never delivered to a later request. `awaited`: since rest(), the loop
  // has told of this request, and before it of anything that came earlier; otherwise the kernel is asked.
  [[nodiscard]] bool ready_for(std::string_view origin, bool awaited);
  // `origin`: scheme, host and port, in any form that tells them apart. `forwarder`: of flow::Dialled.
  void connected(std::unique_ptr<net::Stream> stream, std::string origin,
                 std::shared_ptr<const flow::UpstreamProxy> forwarder = nullptr);
  // An answer is complete and another request may follow: what the origin says meanwhile is noticed without asking.
  void rest();
  // A request has been written: where nothing came before it, its answer is waited for, not tried for.
  void expect_answer();
  void close();

  // Not null: requests go to this proxy, in absolute form.
  [[nodiscard]] const flow::UpstreamProxy* forwarder() const { return forwarder_.get(); }
  [[nodiscard]] bool is_connected() const { return stream_ != nullptr && stream_->is_open(); }
  // Precondition: connected() was called.
  [[nodiscard]] net::Stream& stream() { return *stream_; }
  [[nodiscard]] ReadBuffer& received() { return received_; }

 private:
  struct Watch final : net::Readiness::Waiter {
    void ready(int /*error*/) override { watching = false; }
    bool watching = false;
  };

  std::unique_ptr<net::Stream> stream_;  // kept when closed: a wait on it may still have to end
  std::shared_ptr<Watch> watch_;         // made with the first rest
  ReadBuffer received_;
  std::string origin_;
  std::shared_ptr<const flow::UpstreamProxy> forwarder_;
};

}  // namespace soleroute::gateway::http::h1
