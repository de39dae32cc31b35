// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/socks5.h"

#include <algorithm>
#include <array>

namespace soleroute::sniffer {
namespace {

enum class AddressType : std::uint8_t { kV4 = 1, kDomain = 3, kV6 = 4 };

constexpr std::size_t kV4Bytes = 4;
constexpr std::size_t kV6Bytes = 16;

Socks5Request::Command command_of(std::uint8_t code) {
  constexpr std::uint8_t kLast = 3;
  return code >= 1 && code <= kLast ? static_cast<Socks5Request::Command>(code) : Socks5Request::Command::kUnknown;
}

template <std::size_t kSize>
std::array<std::uint8_t, kSize> octets(base::Bytes bytes) {
  std::array<std::uint8_t, kSize> out{};
  std::ranges::transform(bytes, out.begin(), [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return out;
}

// False: more has to come.
bool read_address(base::ByteReader& reader, AddressType type, Socks5Request& request) {
  if (type == AddressType::kDomain) {
    const auto length = reader.u8();
    const auto name = length ? reader.take(*length) : std::nullopt;
    if (name) request.domain = base::as_text(*name);
    return name.has_value();
  }
  const bool v4 = type == AddressType::kV4;
  const auto bytes = reader.take(v4 ? kV4Bytes : kV6Bytes);
  if (!bytes) return false;
  request.address = v4 ? base::IpAddress::v4(octets<kV4Bytes>(*bytes)) : base::IpAddress::v6(octets<kV6Bytes>(*bytes));
  return true;
}

}  // namespace

Parsed<Socks5Greeting> parse_socks5_greeting(base::Bytes received) {
  base::ByteReader reader(received);
  const auto version = reader.u8();
  if (version && *version != std::to_integer<std::uint8_t>(kSocks5)) return Malformed{"not SOCKS5"};
  const auto count = reader.u8();
  const auto methods = count ? reader.take(*count) : std::nullopt;
  if (!methods) return NeedMore{};
  return Socks5Greeting{std::ranges::find(*methods, std::byte{0}) != methods->end(), reader.position()};
}

Parsed<Socks5Request> parse_socks5_request(base::Bytes received) {
  base::ByteReader reader(received);
  const auto version = reader.u8();
  if (version && *version != std::to_integer<std::uint8_t>(kSocks5)) return Malformed{"not SOCKS5"};
  const auto command = reader.u8();
  const auto reserved = reader.u8();
  const auto type = reader.u8();
  if (!command || !reserved || !type) return NeedMore{};
  Socks5Request request{.command = command_of(*command)};
  const bool known = *type == 1 || *type == 3 || *type == 4;
  if (!known) {
    request.size = received.size();
    return request;
  }
  const auto address_type = static_cast<AddressType>(*type);
  if (!read_address(reader, address_type, request)) return NeedMore{};
  if (address_type == AddressType::kDomain && request.domain.empty()) return Malformed{"SOCKS5 without a host name"};
  const auto port = reader.u16();
  if (!port) return NeedMore{};
  request.port = *port;
  request.size = reader.position();
  return request;
}

}  // namespace soleroute::sniffer
