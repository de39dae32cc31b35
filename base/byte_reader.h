// A bounded cursor over untrusted bytes: every read either succeeds whole or says no and moves nothing.
// Borrows the bytes; copyable; not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace soleroute::base {

using Bytes = std::span<const std::byte>;

class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - position_; }
  [[nodiscard]] bool empty() const { return remaining() == 0; }
  [[nodiscard]] std::size_t position() const { return position_; }

  // Big-endian, as all network formats here.
  [[nodiscard]] std::optional<std::uint8_t> u8() { return big_endian<std::uint8_t, 1>(); }
  [[nodiscard]] std::optional<std::uint16_t> u16() { return big_endian<std::uint16_t, 2>(); }
  [[nodiscard]] std::optional<std::uint32_t> u24() { return big_endian<std::uint32_t, 3>(); }
  [[nodiscard]] std::optional<std::uint32_t> u32() { return big_endian<std::uint32_t, 4>(); }

  [[nodiscard]] std::optional<Bytes> take(std::size_t count) {
    if (count > remaining()) return std::nullopt;
    const Bytes taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  [[nodiscard]] bool skip(std::size_t count) { return take(count).has_value(); }
  [[nodiscard]] Bytes rest() const { return bytes_.subspan(position_); }

 private:
  template <class T, std::size_t kSize>
  std::optional<T> big_endian() {
    const auto bytes = take(kSize);
    if (!bytes) return std::nullopt;
    T value = 0;
    for (const std::byte b : *bytes) value = static_cast<T>((value << (kSize == 1 ? 0 : 8)) | std::to_integer<T>(b));
    return value;
  }

  Bytes bytes_;
  std::size_t position_ = 0;
};

[[nodiscard]] inline Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

[[nodiscard]] inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace soleroute::base
