// The live connections of one worker, so that a reload can close those that the new policy denies.
// One per worker; used on its thread. Entries are unlinked by their own destruction.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <list>

#include "policy/policy.h"

namespace soleroute::gateway::flow {

class Registry {
 public:
  class Entry {
   public:
    Entry() = default;
    Entry(Entry&& other) noexcept;
    Entry& operator=(Entry&& other) noexcept;
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry();

   private:
    friend class Registry;
    struct Node {
      std::function<bool(const policy::Policy&)> still_allowed;
      std::function<void()> close;
    };
    Registry* registry_ = nullptr;
    std::list<Node>::iterator node_;
  };

  // `still_allowed` asks the new policy the flow's own question; `close` ends the flow (it must not destroy the
  // entry before returning: close the streams, the flow's coroutine does the rest).
  [[nodiscard]] Entry add(std::function<bool(const policy::Policy&)> still_allowed, std::function<void()> close);
  // Closes what `policy` denies; returns how many.
  std::size_t apply(const policy::Policy& policy);
  void close_all();
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }

 private:
  std::list<Entry::Node> nodes_;
};

}  // namespace soleroute::gateway::flow
