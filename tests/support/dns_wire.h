// Pieces of DNS messages as byte strings, right or wrong as the test wants them; nothing is checked.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace soleroute::testing::dns_wire {

inline std::string u8(unsigned value) {
  return {static_cast<char>(value & 0xffU)};
}
inline std::string u16(unsigned value) {
  return u8(value >> 8U) + u8(value);
}
inline std::string u32(std::uint32_t value) {
  return u16(value >> 16U) + u16(value & 0xffffU);
}
inline std::string with_length(std::string_view bytes) {
  return u16(static_cast<unsigned>(bytes.size())) + std::string(bytes);
}

// "a.b" as length-prefixed labels with the final zero; "" is the root.
inline std::string name(std::string_view text) {
  std::string wire;
  while (!text.empty()) {
    const auto label = text.substr(0, text.find('.'));
    wire += u8(static_cast<unsigned>(label.size())) + std::string(label);
    text.remove_prefix(label.size() == text.size() ? text.size() : label.size() + 1);
  }
  return wire + '\0';
}

inline std::string pointer(unsigned offset) {
  return u16(0xc000U | offset);
}
inline const std::string kToQuestion = pointer(12);

struct Counts {
  unsigned questions = 1;
  unsigned answers = 0;
  unsigned authorities = 0;
  unsigned additionals = 0;
};

inline std::string header(unsigned id, unsigned flags, Counts counts) {
  return u16(id) + u16(flags) + u16(counts.questions) + u16(counts.answers) + u16(counts.authorities) +
         u16(counts.additionals);
}

inline std::string question(std::string_view name_wire, unsigned type, unsigned klass = 1) {
  return std::string(name_wire) + u16(type) + u16(klass);
}

inline std::string record(std::string_view owner_wire, unsigned type, std::uint32_t ttl, std::string_view rdata,
                          unsigned klass = 1) {
  return std::string(owner_wire) + u16(type) + u16(klass) + u32(ttl) + with_length(rdata);
}

inline std::string opt(unsigned udp_size, std::string_view options = {}, std::uint32_t flags = 0) {
  return record(std::string(1, '\0'), 41, flags, options, udp_size);
}

// A plain query with recursion desired.
inline std::string query(unsigned id, std::string_view text, unsigned type, std::string_view tail = {},
                         unsigned additionals = 0) {
  return header(id, 0x0100, {.additionals = additionals}) + question(name(text), type) + std::string(tail);
}

inline std::string soa(std::uint32_t minimum) {
  return name("ns.test") + name("who.test") + u32(1) + u32(2) + u32(3) + u32(4) + u32(minimum);
}

inline std::string service_parameter(unsigned key, std::string_view value) {
  return u16(key) + with_length(value);
}

inline std::string alpn(std::initializer_list<std::string_view> protocols) {
  std::string value;
  for (const auto protocol : protocols) value += u8(static_cast<unsigned>(protocol.size())) + std::string(protocol);
  return service_parameter(1, value);
}

}  // namespace soleroute::testing::dns_wire
