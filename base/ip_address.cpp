// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace soleroute::base {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

template <class T>
std::optional<T> parse_decimal(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Prefixed {
  IpAddress address;
  int length;
};

Result<Prefixed> parse_prefixed(std::string_view text) {
  const auto slash = text.find('/');
  SR_LET(address, IpAddress::parse(text.substr(0, slash)));
  if (slash == std::string_view::npos) return Prefixed{*address, address->bits()};
  const auto length = parse_decimal<std::uint8_t>(text.substr(slash + 1));
  if (!length || *length > address->bits()) {
    return usage_error("'" + std::string(text) + "': the prefix length must be 0 to " +
                       std::to_string(address->bits()));
  }
  return Prefixed{*address, *length};
}

IpAddress with_host_bits_cleared(const IpAddress& address, int prefix_length) {
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(address.bytes(), bytes.begin());
  for (int bit = prefix_length; bit < address.bits(); ++bit) {
    bytes[static_cast<std::size_t>(bit / 8)] &= static_cast<std::uint8_t>(~(0x80U >> (bit % 8)));
  }
  if (address.is_v6()) return IpAddress::v6(bytes);
  return IpAddress::v4(std::array<std::uint8_t, 4>{bytes[0], bytes[1], bytes[2], bytes[3]});
}

}  // namespace

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> bytes) {
  IpAddress address;
  std::ranges::copy(bytes, address.bytes_.begin());
  return address;
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
  return v4({static_cast<std::uint8_t>(host_order >> 24), static_cast<std::uint8_t>(host_order >> 16),
             static_cast<std::uint8_t>(host_order >> 8), static_cast<std::uint8_t>(host_order)});
}

IpAddress IpAddress::v6(std::array<std::uint8_t, 16> bytes) {
  IpAddress address;
  address.family_ = Family::kV6;
  address.bytes_ = bytes;
  return address;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text.substr(0, INET6_ADDRSTRLEN));
  const bool clean = terminated.size() == text.size() && terminated.find('\0') == std::string::npos;
  std::array<std::uint8_t, 4> four{};
  if (clean && ::inet_pton(AF_INET, terminated.c_str(), four.data()) == 1) return v4(four);
  std::array<std::uint8_t, 16> sixteen{};
  if (clean && ::inet_pton(AF_INET6, terminated.c_str(), sixteen.data()) == 1) return v6(sixteen);
  return usage_error("'" + terminated + "' is not an IPv4 or IPv6 address");
}

IpAddress IpAddress::unmapped() const {
  if (!is_v6() || !std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin())) return *this;
  return v4({bytes_[12], bytes_[13], bytes_[14], bytes_[15]});
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text.data(), text.size());
  return text.data();
}

Result<Cidr> Cidr::make(IpAddress address, int prefix_length) {
  if (prefix_length < 0 || prefix_length > address.bits()) {
    return usage_error(address.to_string() + ": the prefix length must be 0 to " + std::to_string(address.bits()));
  }
  Cidr cidr;
  cidr.address_ = address;
  cidr.prefix_length_ = prefix_length;
  const IpAddress network = with_host_bits_cleared(address, prefix_length);
  if (network != address) {
    const std::string length = "/" + std::to_string(prefix_length);
    return usage_error("'" + address.to_string() + length + "' has host bits set; write '" + network.to_string() +
                       length + "'");
  }
  return cidr;
}

Result<Cidr> Cidr::parse(std::string_view text) {
  SR_LET(prefixed, parse_prefixed(text));
  return make(prefixed->address, prefixed->length);
}

bool Cidr::contains(const IpAddress& address) const {
  return address.family() == address_.family() && with_host_bits_cleared(address, prefix_length_) == address_;
}

bool Cidr::contains(const Cidr& other) const {
  return other.prefix_length_ >= prefix_length_ && contains(other.address_);
}

std::string Cidr::to_string() const {
  return address_.to_string() + "/" + std::to_string(prefix_length_);
}

Result<InterfaceAddress> InterfaceAddress::parse(std::string_view text) {
  SR_LET(prefixed, parse_prefixed(text));
  return InterfaceAddress{prefixed->address, prefixed->length};
}

Cidr InterfaceAddress::subnet() const {
  return *Cidr::make(with_host_bits_cleared(address, prefix_length), prefix_length);
}

std::string InterfaceAddress::to_string() const {
  return address.to_string() + "/" + std::to_string(prefix_length);
}

Result<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port) {
  const auto bad = [&] {
    return usage_error("'" + std::string(text) +
                       "' is not an address and port; write 192.0.2.1:53 or [2001:db8::1]:53");
  };
  if (default_port != 0) {
    if (const auto bare = IpAddress::parse(text)) return Endpoint{*bare, default_port};
  }
  const bool bracketed = text.starts_with('[');
  const auto address_end = bracketed ? text.find(']') : text.rfind(':');
  if (address_end == std::string_view::npos) return bad();
  const auto address = IpAddress::parse(bracketed ? text.substr(1, address_end - 1) : text.substr(0, address_end));
  if (!address || address->is_v6() != bracketed) return bad();
  std::string_view port_text = text.substr(address_end + (bracketed ? 1 : 0));
  if (port_text.empty() && default_port != 0) return Endpoint{*address, default_port};
  if (!port_text.starts_with(':')) return bad();
  const auto port = parse_decimal<std::uint16_t>(port_text.substr(1));
  if (!port || *port == 0) return bad();
  return Endpoint{*address, *port};
}

Endpoint Endpoint::from_sockaddr(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address, sizeof in);
    return {IpAddress::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  sockaddr_in6 in6{};
  std::memcpy(&in6, &address, sizeof in6);
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
  return {IpAddress::v6(bytes).unmapped(), ntohs(in6.sin6_port)};
}

unsigned Endpoint::to_sockaddr(sockaddr_storage& out) const {
  std::memset(&out, 0, sizeof out);
  if (address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.bytes().data(), 4);
    std::memcpy(&out, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(port);
  std::memcpy(&in6.sin6_addr, address.bytes().data(), 16);
  std::memcpy(&out, &in6, sizeof in6);
  return sizeof in6;
}

std::string Endpoint::to_string() const {
  const std::string text = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  return text + ":" + std::to_string(port);
}

}  // namespace soleroute::base
