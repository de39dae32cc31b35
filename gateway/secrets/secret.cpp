// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/secrets/secret.h"

#include <string.h>  // explicit_bzero

#include <algorithm>

namespace soleroute::gateway::secrets {

Secret::~Secret() {
  if (bytes_) ::explicit_bzero(bytes_.get(), capacity_);
}

void Secret::append(std::string_view text) {
  const std::size_t count = std::min(text.size(), capacity_ - size_);
  std::copy_n(text.data(), count, bytes_.get() + size_);
  size_ += count;
}

void Secret::shorten_to(std::size_t size) {
  size_ = std::min(size, size_);
}

}  // namespace soleroute::gateway::secrets
