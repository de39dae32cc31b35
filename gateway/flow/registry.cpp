// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/registry.h"

#include <utility>

namespace soleroute::gateway::flow {

Registry::Entry::Entry(Entry&& other) noexcept
    : registry_(std::exchange(other.registry_, nullptr)), node_(other.node_) {}

Registry::Entry& Registry::Entry::operator=(Entry&& other) noexcept {
  std::swap(registry_, other.registry_);
  std::swap(node_, other.node_);
  return *this;
}

Registry::Entry::~Entry() {
  if (registry_ != nullptr) registry_->nodes_.erase(node_);
}

Registry::Entry Registry::add(std::function<bool(const policy::Policy&)> still_allowed, std::function<void()> close) {
  Entry entry;
  entry.registry_ = this;
  entry.node_ = nodes_.insert(nodes_.end(), Entry::Node{std::move(still_allowed), std::move(close)});
  return entry;
}

std::size_t Registry::apply(const policy::Policy& policy) {
  std::size_t closed = 0;
  for (auto& node : nodes_) {
    if (node.still_allowed(policy)) continue;
    node.close();
    ++closed;
  }
  return closed;
}

void Registry::close_all() {
  for (auto& node : nodes_) node.close();
}

}  // namespace soleroute::gateway::flow
