// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/http1_upstream.h"

#include <array>

namespace soleroute::gateway::flow {

bool Upstream::ready_for(const base::HostName& host, std::uint16_t port) {
  if (!is_connected() || host_ != host || port_ != port || !received_.empty()) return false;
  std::array<std::byte, 1> unasked{};
  return !stream_->try_read_some(unasked).has_value();
}

void Upstream::connected(std::unique_ptr<net::Stream> stream, base::HostName host, std::uint16_t port) {
  stream_ = std::move(stream);
  received_.consume(received_.size());
  host_ = std::move(host);
  port_ = port;
}

void Upstream::close() {
  if (stream_ != nullptr) stream_->close();
}

}  // namespace soleroute::gateway::flow
