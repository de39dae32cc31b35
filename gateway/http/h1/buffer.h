// Bytes read from one connection and not yet used: grows for a large head, and holds nothing while it is empty and let
// go. Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "base/byte_reader.h"
#include "gateway/net/buffer_account.h"

namespace soleroute::gateway::http::h1 {

class ReadBuffer {
 public:
  [[nodiscard]] base::Bytes bytes() const { return {storage_.get() + begin_, end_ - begin_}; }
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }
  [[nodiscard]] bool empty() const { return begin_ == end_; }

  // Room for at least so many bytes more; what is there may move.
  [[nodiscard]] std::span<std::byte> space(std::size_t at_least) {
    if (empty()) begin_ = end_ = 0;
    if (capacity_ - end_ < at_least) make_room(at_least);
    return {storage_.get() + end_, capacity_ - end_};
  }
  void received(std::size_t count) { end_ += count; }  // into what space() returned
  void consume(std::size_t count) { begin_ += count; }
  void append(base::Bytes more) {
    if (more.empty()) return;
    std::memcpy(space(more.size()).data(), more.data(), more.size());
    received(more.size());
  }
  // Lets go of the storage if it is empty, and larger than what the next small read needs.
  void shrink() {
    if (empty() && capacity_ > kKept) release();
  }
  void release() {
    storage_.reset();
    capacity_ = begin_ = end_ = 0;
    held_.set(0);
  }
  // Enters what it grows to in the account of a client.
  void account_to(std::shared_ptr<net::ClientBuffers> buffers) {
    held_ = net::HeldBytes(std::move(buffers), capacity_ > kKept ? capacity_ : 0);
  }
  // For what only grows until it is whole: false once its client has no room for more than a small read.
  [[nodiscard]] bool may_grow() const { return size() < kKept || held_.has_room(); }

 private:
  void make_room(std::size_t at_least) {
    const std::size_t used = size();
    if (capacity_ >= used + at_least && begin_ >= capacity_ / 2) {
      std::memmove(storage_.get(), storage_.get() + begin_, used);
    } else {
      const std::size_t wanted = std::max(used + at_least, capacity_ * 2);
      auto larger = std::make_unique_for_overwrite<std::byte[]>(wanted);
      if (used > 0) std::memcpy(larger.get(), storage_.get() + begin_, used);
      storage_ = std::move(larger);
      capacity_ = wanted;
      held_.set(capacity_ > kKept ? capacity_ : 0);  // a small one is part of what its connection costs
    }
    begin_ = 0;
    end_ = used;
  }

  static constexpr std::size_t kKept = 4096;
  std::unique_ptr<std::byte[]> storage_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  net::HeldBytes held_;
};

}  // namespace soleroute::gateway::http::h1
