// Leaves by name, the least recently used forgotten first.
// Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "gateway/inspect/certificate_parts.h"
#include "gateway/inspect/leaf.h"

namespace soleroute::gateway::inspect {

class LeafCache {
 public:
  struct Entry {
    std::shared_ptr<const Leaf> leaf;
    TimePoint usable_from;  // before it, and from usable_until on, it is not given out
    TimePoint usable_until;
  };

  explicit LeafCache(std::size_t capacity) : capacity_(capacity) {}

  // Null where there is none that can be used now.
  [[nodiscard]] std::shared_ptr<const Leaf> find(const std::string& name, TimePoint now);
  void put(const std::string& name, Entry entry);
  [[nodiscard]] std::size_t size() const { return by_name_.size(); }

 private:
  using Order = std::list<std::pair<std::string, Entry>>;  // most recently used first

  std::size_t capacity_;
  Order order_;
  std::unordered_map<std::string, Order::iterator> by_name_;
};

}  // namespace soleroute::gateway::inspect
