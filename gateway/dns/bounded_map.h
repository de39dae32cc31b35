// A hash map that never holds more than its capacity: the entry longest untouched makes room.
// Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

namespace soleroute::gateway::dns {

template <class Key, class Value>
class BoundedMap {
 public:
  explicit BoundedMap(std::size_t capacity) : capacity_(capacity == 0 ? 1 : capacity) {}

  // Null if absent; does not touch. Valid until the next touch() or erase().
  [[nodiscard]] Value* find(const Key& key) {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &found->second->second;
  }
  [[nodiscard]] const Value* find(const Key& key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &found->second->second;
  }

  // The entry, made if absent, now the newest.
  Value& touch(const Key& key) {
    if (const auto found = index_.find(key); found != index_.end()) {
      order_.splice(order_.end(), order_, found->second);
      return found->second->second;
    }
    if (order_.size() == capacity_) {
      index_.erase(order_.front().first);
      order_.pop_front();
    }
    order_.emplace_back(key, Value{});
    index_.emplace(key, std::prev(order_.end()));
    return order_.back().second;
  }

  template <class Predicate>
  void erase_if(Predicate predicate) {
    for (auto entry = order_.begin(); entry != order_.end();) {
      if (!predicate(entry->first, entry->second)) {
        ++entry;
        continue;
      }
      index_.erase(entry->first);
      entry = order_.erase(entry);
    }
  }

  [[nodiscard]] std::size_t size() const { return order_.size(); }

 private:
  using Order = std::list<std::pair<const Key, Value>>;  // oldest first
  std::size_t capacity_;
  Order order_;
  std::unordered_map<Key, typename Order::iterator> index_;
};

}  // namespace soleroute::gateway::dns
