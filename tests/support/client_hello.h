// Builds TLS ClientHellos byte by byte, right or deliberately wrong.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace soleroute::testing::tls {

using namespace std::string_literals;

inline std::string number(std::size_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}
// `body` behind its length in so many bytes.
inline std::string sized(const std::string& body, int bytes) {
  return number(body.size(), bytes) + body;
}

inline std::string extension(std::size_t type, const std::string& body) {
  return number(type, 2) + sized(body, 2);
}

struct Name {
  std::string text;
  std::uint8_t type = 0;
};
inline std::string server_names(const std::vector<Name>& names) {
  std::string list;
  for (const auto& name : names) list += static_cast<char>(name.type) + sized(name.text, 2);
  return extension(0, sized(list, 2));
}
inline std::string server_name(std::string_view text) {
  return server_names({{std::string(text)}});
}

inline std::string alpn(const std::vector<std::string>& protocols) {
  std::string list;
  for (const auto& protocol : protocols) list += sized(protocol, 1);
  return extension(16, sized(list, 2));
}
inline std::string padding(std::size_t size) {
  return extension(21, std::string(size, '\0'));
}

struct HelloParts {
  std::string legacy_version = "\x03\x03";
  std::string session_id = std::string(32, 's');
  std::string ciphers = "\x13\x01\x13\x02\x13\x03\xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30"s;
  std::string compressions = "\0"s;
};

// What an ordinary client sends besides: versions, an x25519 share, modes, groups, signature algorithms.
inline std::string usual_extensions() {
  return extension(43, sized("\x03\x04\x03\x03"s, 1)) +
         extension(51, sized("\x00\x1d"s + sized(std::string(32, 'k'), 2), 2)) + extension(45, "\x01\x01"s) +
         extension(10, sized("\x00\x1d\x00\x17"s, 2)) + extension(11, "\x01\x00"s) +
         extension(13, sized("\x04\x03\x08\x04\x04\x01\x05\x03\x08\x05\x05\x01\x08\x06\x06\x01"s, 2));
}

// The handshake message; `extensions` is the content of the block.
inline std::string hello(const std::string& extensions, const HelloParts& parts = {}) {
  const std::string body = parts.legacy_version + std::string(32, 'r') + sized(parts.session_id, 1) +
                           sized(parts.ciphers, 2) + sized(parts.compressions, 1) + sized(extensions, 2);
  return "\x01" + sized(body, 3);
}

inline std::string record(const std::string& body, int type = 22, const std::string& version = "\x03\x01") {
  return static_cast<char>(type) + version + sized(body, 2);
}
// One handshake message in records of so many bytes.
inline std::string records(const std::string& message, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < message.size(); i += size) out += record(message.substr(i, size));
  return out;
}

// A whole ClientHello for `name`.
inline std::string ordinary(std::string_view name) {
  return record(hello(server_name(name) + usual_extensions()));
}

}  // namespace soleroute::testing::tls
