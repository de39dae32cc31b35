// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/buffer_account.h"

namespace soleroute::gateway::net {

std::shared_ptr<ClientBuffers> BufferAccount::of(const base::IpAddress& client) {
  const auto address = client.unmapped();
  const std::lock_guard lock(mutex_);
  auto& known = clients_[address];
  auto buffers = known.lock();
  if (buffers == nullptr) known = buffers = std::make_shared<ClientBuffers>(shared_from_this(), address);
  return buffers;
}

// Another one of the same client may have been made since the last of these was let go.
void BufferAccount::forget(const base::IpAddress& client) {
  const std::lock_guard lock(mutex_);
  const auto known = clients_.find(client);
  if (known != clients_.end() && known->second.expired()) clients_.erase(known);
}

}  // namespace soleroute::gateway::net
