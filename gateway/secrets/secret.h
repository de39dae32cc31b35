// The value of a secret: wiped from memory when it goes, and nothing prints it.
// Move-only; not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace soleroute::gateway::secrets {

class Secret {
 public:
  Secret() = default;
  // Room for `capacity` bytes, of which none is used yet. It never grows, so that no copy is left behind.
  explicit Secret(std::size_t capacity) : bytes_(std::make_unique<char[]>(capacity)), capacity_(capacity) {}
  Secret(Secret&& other) noexcept { swap(other); }
  Secret& operator=(Secret&& other) noexcept {
    swap(other);
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  [[nodiscard]] char* data() { return bytes_.get(); }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  void append(std::string_view text);  // must fit
  void shorten_to(std::size_t size);   // drops what is behind
  void swap(Secret& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(capacity_, other.capacity_);
    std::swap(size_, other.size_);
  }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

}  // namespace soleroute::gateway::secrets
