// What one attempt to read or write without waiting came to. A value of two machine words, so that it is returned in
// registers.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace soleroute::gateway::net {

class IoResult {
 public:
  enum class Kind : std::uint8_t { kBytes, kWouldBlock, kEnd, kFailed };

  static constexpr IoResult bytes(std::size_t count) { return {Kind::kBytes, count}; }
  // As read(2) counts: none is the end of the stream.
  static constexpr IoResult read(std::size_t count) { return count == 0 ? IoResult(Kind::kEnd) : bytes(count); }
  static constexpr IoResult blocked() { return IoResult(Kind::kWouldBlock); }
  // `what` is a literal, or lives as long as the stream.
  static constexpr IoResult failure(const char* what, int sys_errno) { return {what, sys_errno}; }
  static IoResult failure(const base::Error& kept) { return failure(kept.message.c_str(), kept.sys_errno); }
  static IoResult failure(base::Error&&) = delete;

  [[nodiscard]] constexpr Kind kind() const { return kind_; }
  [[nodiscard]] constexpr bool has_bytes() const { return kind_ == Kind::kBytes; }
  [[nodiscard]] constexpr bool would_block() const { return kind_ == Kind::kWouldBlock; }
  [[nodiscard]] constexpr bool ended() const { return kind_ == Kind::kEnd; }
  [[nodiscard]] constexpr bool failed() const { return kind_ == Kind::kFailed; }

  // How many bytes were read or taken; 0 in every other case.
  [[nodiscard]] constexpr std::size_t count() const { return has_bytes() ? payload_.count : 0; }
  // Precondition: failed().
  [[nodiscard]] base::Error error() const { return {payload_.what, base::ErrorKind::kSystem, sys_errno_}; }
  // For callers that have waited: the number of bytes, 0 at the end. Precondition: not would_block().
  [[nodiscard]] base::Result<std::size_t> waited() const {
    if (failed()) return std::unexpected(error());
    return count();
  }

 private:
  constexpr explicit IoResult(Kind kind) : kind_(kind) {}
  constexpr IoResult(Kind kind, std::size_t count) : payload_{.count = count}, kind_(kind) {}
  constexpr IoResult(const char* what, int sys_errno)
      : payload_{.what = what}, sys_errno_(sys_errno), kind_(Kind::kFailed) {}

  union Payload {
    std::size_t count;
    const char* what;  // kFailed
  };
  Payload payload_{.count = 0};
  int sys_errno_ = 0;
  Kind kind_;
};
static_assert(sizeof(IoResult) == 2 * sizeof(void*));

}  // namespace soleroute::gateway::net
