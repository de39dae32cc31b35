// How many bytes this process holds for its clients: what they have not taken, not finished, or what stands behind each
// of their connections. Flows ask before they hold more; beyond a limit nothing new begins.
// Thread-safe. Counting costs two additions to shared counters.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/ip_address.h"

namespace soleroute::gateway::net {

struct BufferLimits {
  std::size_t all = std::size_t{160} << 20;
  std::size_t client = std::size_t{56} << 20;
};

// What one client holds; alive as long as anything is held for it.
class ClientBuffers;

class BufferAccount : public std::enable_shared_from_this<BufferAccount> {
 public:
  explicit BufferAccount(BufferLimits limits) : limits_(limits) {}

  // The client's share: one for all of its connections, on whatever worker.
  [[nodiscard]] std::shared_ptr<ClientBuffers> of(const base::IpAddress& client);
  [[nodiscard]] std::size_t held() const { return held_.load(std::memory_order_relaxed); }

 private:
  friend class ClientBuffers;
  void forget(const base::IpAddress& client);

  const BufferLimits limits_;
  std::atomic<std::size_t> held_{0};
  std::mutex mutex_;
  std::unordered_map<base::IpAddress, std::weak_ptr<ClientBuffers>> clients_;
};

class ClientBuffers {
 public:
  ClientBuffers(std::shared_ptr<BufferAccount> account, const base::IpAddress& client)
      : account_(std::move(account)), client_(client) {}
  ClientBuffers(const ClientBuffers&) = delete;
  ClientBuffers& operator=(const ClientBuffers&) = delete;
  ~ClientBuffers() { account_->forget(client_); }

  // May more be held? Who is told no holds what it has, and no more than one small read beside it.
  [[nodiscard]] bool has_room() const {
    return held_.load(std::memory_order_relaxed) < account_->limits_.client && account_->held() < account_->limits_.all;
  }
  [[nodiscard]] std::size_t held() const { return held_.load(std::memory_order_relaxed); }

 private:
  friend class HeldBytes;
  void add(std::size_t count) {
    held_.fetch_add(count, std::memory_order_relaxed);
    account_->held_.fetch_add(count, std::memory_order_relaxed);
  }
  void subtract(std::size_t count) {
    held_.fetch_sub(count, std::memory_order_relaxed);
    account_->held_.fetch_sub(count, std::memory_order_relaxed);
  }

  std::shared_ptr<BufferAccount> account_;
  const base::IpAddress client_;
  std::atomic<std::size_t> held_{0};
};

// Without an account (tests, and what is not a client's) there is always room.
[[nodiscard]] inline bool has_room(const std::shared_ptr<ClientBuffers>& buffers) {
  return buffers == nullptr || buffers->has_room();
}

// The bytes of one buffer in its client's account, for as long as this lives. Belongs to one thread at a time.
class HeldBytes {
 public:
  HeldBytes() = default;
  explicit HeldBytes(std::shared_ptr<ClientBuffers> buffers, std::size_t bytes = 0) : buffers_(std::move(buffers)) {
    set(bytes);
  }
  HeldBytes(HeldBytes&& other) noexcept
      : buffers_(std::exchange(other.buffers_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  HeldBytes& operator=(HeldBytes&& other) noexcept {
    if (this == &other) return *this;
    set(0);
    buffers_ = std::exchange(other.buffers_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    return *this;
  }
  ~HeldBytes() { set(0); }

  void set(std::size_t bytes) {
    if (buffers_ == nullptr || bytes == bytes_) return;
    if (bytes > bytes_) buffers_->add(bytes - bytes_);
    if (bytes < bytes_) buffers_->subtract(bytes_ - bytes);
    bytes_ = bytes;
  }
  void add(std::size_t bytes) { set(bytes_ + bytes); }
  void subtract(std::size_t bytes) { set(bytes_ - (bytes < bytes_ ? bytes : bytes_)); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] bool has_room() const { return net::has_room(buffers_); }

 private:
  std::shared_ptr<ClientBuffers> buffers_;
  std::size_t bytes_ = 0;
};

}  // namespace soleroute::gateway::net
