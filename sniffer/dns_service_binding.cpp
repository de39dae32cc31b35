// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/dns_service_binding.h"

#include <algorithm>
#include <array>

#include "base/web_ports.h"

namespace soleroute::sniffer {
namespace {

// RFC 9460 section 14.3.2.
constexpr std::uint16_t kMandatory = 0;
constexpr std::uint16_t kAlpn = 1;
constexpr std::uint16_t kNoDefaultAlpn = 2;
constexpr std::uint16_t kPort = 3;
constexpr std::uint16_t kIpv4Hint = 4;
constexpr std::uint16_t kEch = 5;
constexpr std::uint16_t kIpv6Hint = 6;

constexpr std::size_t kMaxParameters = 64;  // of one record

bool read_mandatory(base::ByteReader value, std::vector<std::uint16_t>& keys) {
  while (!value.empty()) {
    const auto key = value.u16();
    if (!key || *key == kMandatory || (!keys.empty() && *key <= keys.back())) return false;
    keys.push_back(*key);
  }
  return !keys.empty();
}

bool read_alpn(base::ByteReader value, std::vector<std::string>& protocols) {
  while (!value.empty()) {
    const auto length = value.u8();
    if (!length || *length == 0) return false;
    const auto name = value.take(*length);
    if (!name) return false;
    protocols.emplace_back(base::as_text(*name));
  }
  return !protocols.empty();
}

template <std::size_t kSize>
bool read_hints(base::ByteReader value, std::vector<base::IpAddress>& hints) {
  if (value.empty() || value.remaining() % kSize != 0) return false;
  while (const auto bytes = value.take(kSize)) {
    std::array<std::uint8_t, kSize> address{};
    std::ranges::transform(*bytes, address.begin(), [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
    if constexpr (kSize == 4) hints.push_back(base::IpAddress::v4(address));
    if constexpr (kSize == 16) hints.push_back(base::IpAddress::v6(address));
  }
  return true;
}

bool read_port(base::ByteReader value, ServiceBinding& binding) {
  binding.port = value.u16();
  return binding.port && value.empty();
}

bool read_parameter(std::uint16_t key, base::ByteReader value, ServiceBinding& binding,
                    std::vector<std::uint16_t>& mandatory) {
  switch (key) {
    case kMandatory:
      binding.has_mandatory = true;
      return read_mandatory(value, mandatory);
    case kAlpn:
      return read_alpn(value, binding.alpn);
    case kNoDefaultAlpn:
      binding.no_default_alpn = true;
      return value.empty();
    case kPort:
      return read_port(value, binding);
    case kIpv4Hint:
      return read_hints<4>(value, binding.hints);
    case kEch:
      binding.has_ech = true;
      return true;
    case kIpv6Hint:
      return read_hints<16>(value, binding.hints);
    default:
      return true;
  }
}

void put_u16(std::vector<std::byte>& out, std::size_t value) {
  out.push_back(static_cast<std::byte>(value >> 8U));
  out.push_back(static_cast<std::byte>(value));
}

void put_bytes(std::vector<std::byte>& out, base::Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_hints(std::vector<std::byte>& out, std::uint16_t key, base::Family family,
               const std::vector<base::IpAddress>& hints) {
  std::vector<std::byte> value;
  for (const auto& hint : hints) {
    if (hint.family() == family) put_bytes(value, std::as_bytes(hint.bytes()));
  }
  if (value.empty()) return;
  put_u16(out, key);
  put_u16(out, value.size());
  put_bytes(out, value);
}

}  // namespace

Parsed<ServiceBinding> parse_service_binding(base::Bytes rdata) {
  base::ByteReader reader(rdata);
  ServiceBinding binding;
  const auto priority = reader.u16();
  if (!priority) return Malformed{"service record without a priority"};
  binding.priority = *priority;
  const auto target = DnsName::read_uncompressed(reader);
  if (!target) return Malformed{"service record with a bad target"};
  binding.target = *target;

  std::vector<std::uint16_t> keys;
  std::vector<std::uint16_t> mandatory;
  while (!reader.empty()) {
    const auto key = reader.u16();
    const auto length = key ? reader.u16() : std::nullopt;
    const auto value = length ? reader.take(*length) : std::nullopt;
    if (!value) return Malformed{"service parameter cut short"};
    if (!keys.empty() && *key <= keys.back()) return Malformed{"service parameters out of order"};
    if (keys.size() == kMaxParameters) return Malformed{"too many service parameters", true};
    keys.push_back(*key);
    if (!read_parameter(*key, base::ByteReader(*value), binding, mandatory)) {
      return Malformed{"service parameter with a bad value"};
    }
  }
  const bool all_there =
      std::ranges::all_of(mandatory, [&](auto key) { return std::ranges::binary_search(keys, key); });
  if (!all_there) return Malformed{"mandatory service parameter missing"};
  // RFC 9460 section 7.1.1.
  if (binding.no_default_alpn && binding.alpn.empty()) return Malformed{"no-default-alpn without alpn"};
  return binding;
}

std::optional<ServiceBinding> reduced(const ServiceBinding& binding) {
  if (binding.priority == 0 || binding.has_mandatory || !binding.target.is_root()) return std::nullopt;
  if (binding.port && *binding.port != base::kHttpsPort) return std::nullopt;
  ServiceBinding kept = binding;
  kept.port.reset();
  kept.has_ech = false;
  std::erase_if(kept.alpn, [](const std::string& protocol) { return protocol.starts_with("h3"); });
  if (kept.no_default_alpn && kept.alpn.empty()) return std::nullopt;
  std::size_t v4 = 0;
  std::size_t v6 = 0;
  std::erase_if(kept.hints, [&](const base::IpAddress& hint) { return ++(hint.is_v4() ? v4 : v6) > kMaxServiceHints; });
  return kept;
}

std::vector<std::byte> encode_service_binding(const ServiceBinding& reduced_binding,
                                              const std::function<bool(const base::IpAddress&)>& may_use) {
  std::vector<std::byte> out;
  put_u16(out, reduced_binding.priority);
  put_bytes(out, base::as_bytes(reduced_binding.target.wire()));
  if (!reduced_binding.alpn.empty()) {
    std::string protocols;
    for (const auto& protocol : reduced_binding.alpn) protocols += static_cast<char>(protocol.size()) + protocol;
    put_u16(out, kAlpn);
    put_u16(out, protocols.size());
    put_bytes(out, base::as_bytes(protocols));
  }
  if (reduced_binding.no_default_alpn) {
    put_u16(out, kNoDefaultAlpn);
    put_u16(out, 0);
  }
  std::vector<base::IpAddress> hints = reduced_binding.hints;
  std::erase_if(hints, [&](const base::IpAddress& hint) { return !may_use(hint); });
  put_hints(out, kIpv4Hint, base::Family::kV4, hints);
  put_hints(out, kIpv6Hint, base::Family::kV6, hints);
  return out;
}

}  // namespace soleroute::sniffer
