// The NAT64 prefixes of this network: those that a person configured, and those that a resolver named last.
// Thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "policy/nat64.h"

namespace soleroute::gateway::net {

class Nat64Book {
 public:
  explicit Nat64Book(std::vector<policy::Nat64Prefix> configured = {})
      : prefixes_(std::make_shared<const policy::Nat64Prefixes>(
            policy::Nat64Prefixes{.configured = std::move(configured), .discovered = {}})) {}

  [[nodiscard]] std::shared_ptr<const policy::Nat64Prefixes> now() const {
    const std::lock_guard lock(mutex_);
    return prefixes_;
  }
  // True: they are others than before.
  bool discovered(std::vector<policy::Nat64Prefix> prefixes) {
    const std::lock_guard lock(mutex_);
    if (prefixes_->discovered == prefixes) return false;
    auto fresh = std::make_shared<policy::Nat64Prefixes>(*prefixes_);
    fresh->discovered = std::move(prefixes);
    prefixes_ = std::move(fresh);
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const policy::Nat64Prefixes> prefixes_;
};

}  // namespace soleroute::gateway::net
