// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/leaf_cache.h"

namespace soleroute::gateway::inspect {

std::shared_ptr<const Leaf> LeafCache::find(const std::string& name, TimePoint now) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return nullptr;
  const Entry& entry = found->second->second;
  if (now < entry.usable_from || now >= entry.usable_until) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return entry.leaf;
}

void LeafCache::put(const std::string& name, Entry entry) {
  if (const auto found = by_name_.find(name); found != by_name_.end()) {
    found->second->second = std::move(entry);
    order_.splice(order_.begin(), order_, found->second);
    return;
  }
  order_.emplace_front(name, std::move(entry));
  by_name_.emplace(name, order_.begin());
  if (by_name_.size() <= capacity_) return;
  by_name_.erase(order_.back().first);
  order_.pop_back();
}

}  // namespace soleroute::gateway::inspect
