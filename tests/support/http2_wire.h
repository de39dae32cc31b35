// HTTP/2 frames written by hand, for what no library would send.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace soleroute::test::h2 {

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum Type : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRst = 3,
  kSettings = 4,
  kPush = 5,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
inline constexpr std::uint8_t kEndStream = 1;
inline constexpr std::uint8_t kEndHeaders = 4;

inline std::string u32(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> static_cast<unsigned>(shift) & 0xffU);
  return out;
}

inline std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {}) {
  std::string out = u32(static_cast<std::uint32_t>(payload.size())).substr(1);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  return out.append(u32(stream)).append(payload);
}

// HPACK: literal, never indexed, no Huffman (RFC 7541 section 6.2.3).
inline std::string literal(std::string_view name, std::string_view value) {
  const auto text = [](std::string_view string) {
    std::string out;
    if (string.size() < 127) {
      out += static_cast<char>(string.size());
    } else {
      out += '\x7f';
      std::size_t rest = string.size() - 127;
      for (; rest >= 128; rest /= 128) out += static_cast<char>(rest % 128 + 128);
      out += static_cast<char>(rest);
    }
    return out.append(string);
  };
  return std::string(1, '\x10') + text(name) + text(value);
}

inline std::string request_block(std::string_view authority, std::string_view path = "/",
                                 std::string_view method = "GET") {
  return literal(":method", method) + literal(":scheme", "https") + literal(":authority", authority) +
         literal(":path", path);
}

inline std::string get(std::uint32_t stream, std::string_view authority, std::string_view path = "/") {
  return frame(kHeaders, kEndStream | kEndHeaders, stream, request_block(authority, path));
}

inline std::string opening() {
  return std::string(kPreface) + frame(kSettings, 0, 0);
}

}  // namespace soleroute::test::h2
