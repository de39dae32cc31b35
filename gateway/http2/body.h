// A message body on its way from one connection to another: bytes in order, an end, trailers.
// It grows as far as who appends lets it: a peer by its flow control window, a coroutine by looking at size().
// Not thread-safe: belongs to one worker; shared by the two sides.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/byte_reader.h"
#include "gateway/http2/field.h"
#include "gateway/net/buffer_account.h"

namespace soleroute::gateway::http2 {

class Body {
 public:
  Body() = default;
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  ~Body() = default;

  // Before anything is appended: whose account the bytes are in.
  void account_to(std::shared_ptr<net::ClientBuffers> buffers) { held_ = net::HeldBytes(std::move(buffers)); }

  // --- Who sends it.
  void append(base::Bytes bytes) {
    bytes_.append(base::as_text(bytes));
    count_held();
    total_ += bytes.size();
    notify();
  }
  // The last that comes: not copied.
  void append_shared(std::shared_ptr<const std::string> last) {
    total_ += last->size();
    shared_ = std::move(last);
    notify();
  }
  void finish(Fields trailers = {}) {
    trailers_ = std::move(trailers);
    if (unwanted_) std::erase_if(trailers_, unwanted_);
    for (const auto& field : trailers_) held_trailers_ += held_for(listed_size(field.name.size(), field.value.size()));
    count_held();
    finished_ = true;
    notify();
  }
  // No end will come: what has arrived is not whole.
  void abort() {
    aborted_ = !finished_;
    notify();
  }

  // --- Who takes it.
  // What can be taken at once: all, but for a shared end with something in front of it.
  [[nodiscard]] base::Bytes bytes() const {
    const bool at_shared = shared_ != nullptr && bytes_.empty();
    return base::as_bytes(std::string_view(at_shared ? *shared_ : bytes_).substr(begin_));
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size() + (shared_ ? shared_->size() : 0) - begin_; }
  void consume(std::size_t count) {
    begin_ += count;
    if (shared_ != nullptr && bytes_.empty()) {
      if (begin_ == shared_->size()) {
        shared_.reset();
        begin_ = 0;
      }
      if (on_consumed) on_consumed(count);
      return;
    }
    // Into storage of its own: erasing and assigning would keep the storage of the most that there ever was.
    if (begin_ > bytes_.size() / 2) {
      std::string(bytes_, begin_).swap(bytes_);
      begin_ = 0;
      count_held();
    }
    if (on_consumed) on_consumed(count);
  }
  [[nodiscard]] bool finished() const { return finished_; }  // no more comes; there may be bytes left
  [[nodiscard]] bool at_end() const { return finished_ && size() == 0; }
  [[nodiscard]] bool aborted() const { return aborted_; }
  [[nodiscard]] const Fields& trailers() const { return trailers_; }  // once it is finished
  // Leaves out trailers, also of those that are still to come.
  void leave_out(std::function<bool(const Field&)> unwanted) {
    std::erase_if(trailers_, unwanted);
    if (!unwanted_) {
      unwanted_ = std::move(unwanted);
      return;
    }
    unwanted_ = [earlier = std::move(unwanted_), also = std::move(unwanted)](const Field& field) {
      return earlier(field) || also(field);
    };
  }
  [[nodiscard]] std::uint64_t total() const { return total_; }  // appended so far

  // Called without the other's knowledge of whom; neither may destroy this body.
  std::function<void()> on_change;               // set by who takes it
  std::function<void(std::size_t)> on_consumed;  // set by who sends it

 private:
  void notify() const {
    if (on_change) on_change();
  }

  // The storage, whatever of it is in use.
  void count_held() {
    const bool allocated = bytes_.capacity() > std::string().capacity();
    held_.set((allocated ? bytes_.capacity() : 0) + held_trailers_);
  }

  std::string bytes_;
  std::shared_ptr<const std::string> shared_;  // behind bytes_; begin_ counts in the one that is in front
  std::size_t begin_ = 0;
  net::HeldBytes held_;  // of bytes_ and trailers_
  std::size_t held_trailers_ = 0;
  std::uint64_t total_ = 0;
  bool finished_ = false;
  bool aborted_ = false;
  Fields trailers_;
  std::function<bool(const Field&)> unwanted_;
};

}  // namespace soleroute::gateway::http2
