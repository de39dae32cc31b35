// How many bytes this process holds for its clients: what they have not taken, not finished, or what stands behind each
// of their connections. Flows ask before they hold more; beyond a limit nothing new begins.
// Thread-safe. Counting costs three additions to shared counters.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
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
  std::size_t client = std::size_t{96} << 20;
  std::size_t reserve = std::size_t{16} << 20;  // of `all`, for clients that hold few, however much others hold
  std::size_t few = std::size_t{1} << 20;

  // Where every address is the same client, there are no others.
  [[nodiscard]] static BufferLimits of_one_client() {
    BufferLimits limits;
    limits.client = limits.all;
    limits.reserve = 0;
    return limits;
  }
};

// What one client holds; alive as long as anything is held for it.
class ClientBuffers;

class BufferAccount : public std::enable_shared_from_this<BufferAccount> {
 public:
  explicit BufferAccount(BufferLimits limits) : limits_(limits) {}

  // The client's share: one for all of its connections, on whatever worker. `client` is only compared.
  [[nodiscard]] std::shared_ptr<ClientBuffers> of(const base::IpAddress& client);
  [[nodiscard]] std::size_t held() const { return held_.load(std::memory_order_relaxed); }

 private:
  friend class ClientBuffers;
  void forget(const base::IpAddress& client);

  const BufferLimits limits_;
  std::atomic<std::size_t> held_{0};
  std::atomic<std::size_t> held_as_few_{0};  // of it, the first `few` bytes of each client
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
    const BufferLimits& limits = account_->limits_;
    const std::size_t mine = held();
    if (mine >= limits.client) return false;
    if (account_->held() + limits.reserve < limits.all) return true;
    // What others hold beyond `few` is not in this, so that it cannot use up the reserve.
    return mine < limits.few && account_->held_as_few_.load(std::memory_order_relaxed) < limits.reserve;
  }
  [[nodiscard]] std::size_t held() const { return held_.load(std::memory_order_relaxed); }

 private:
  friend class HeldBytes;
  void add(std::size_t count) {
    const std::size_t before = held_.fetch_add(count, std::memory_order_relaxed);
    account_->held_.fetch_add(count, std::memory_order_relaxed);
    account_->held_as_few_.fetch_add(as_few(before + count) - as_few(before), std::memory_order_relaxed);
  }
  void subtract(std::size_t count) {
    const std::size_t before = held_.fetch_sub(count, std::memory_order_relaxed);
    account_->held_.fetch_sub(count, std::memory_order_relaxed);
    account_->held_as_few_.fetch_sub(as_few(before) - as_few(before - count), std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t as_few(std::size_t held) const { return std::min(held, account_->limits_.few); }

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
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;
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
