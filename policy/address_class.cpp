// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/address_class.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace soleroute::policy {
namespace {

constexpr std::string_view kPublic = "public";
constexpr std::string_view kLoopback = "loopback";
constexpr std::string_view kLinkLocal = "link-local and cloud metadata";
constexpr std::string_view kMetadata = "cloud metadata";
constexpr std::string_view kMulticast = "multicast";
constexpr std::string_view kBroadcast = "broadcast";
constexpr std::string_view kThisNetwork = "this network";
constexpr std::string_view kUnspecified = "unspecified";

struct Range4 {
  std::uint32_t network;
  int length;
  std::string_view name;
};

constexpr std::uint32_t quad(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return (a << 24) | (b << 16) | (c << 8) | d;
}

// IANA IPv4 Special-Purpose Address Registry, and what clouds put in public-looking space. The first match names it.
constexpr std::array kRanges4{
    Range4{quad(0, 0, 0, 0), 8, kThisNetwork},
    Range4{quad(10, 0, 0, 0), 8, "private (RFC 1918)"},
    Range4{quad(100, 100, 100, 200), 32, kMetadata},  // Alibaba Cloud
    Range4{quad(100, 64, 0, 0), 10, "carrier-grade NAT"},
    Range4{quad(127, 0, 0, 0), 8, kLoopback},
    Range4{quad(168, 63, 129, 16), 32, kMetadata},  // Azure's WireServer
    Range4{quad(169, 254, 0, 0), 16, kLinkLocal},
    Range4{quad(172, 16, 0, 0), 12, "private (RFC 1918)"},
    Range4{quad(192, 0, 0, 192), 32, kMetadata},  // Oracle Cloud
    Range4{quad(192, 0, 0, 0), 24, "IETF protocol assignments"},
    Range4{quad(192, 0, 2, 0), 24, "documentation"},
    Range4{quad(192, 88, 99, 0), 24, "6to4 relay anycast"},
    Range4{quad(192, 168, 0, 0), 16, "private (RFC 1918)"},
    Range4{quad(198, 18, 0, 0), 15, "benchmarking"},
    Range4{quad(198, 51, 100, 0), 24, "documentation"},
    Range4{quad(203, 0, 113, 0), 24, "documentation"},
    Range4{quad(224, 0, 0, 0), 4, kMulticast},
    Range4{quad(255, 255, 255, 255), 32, kBroadcast},
    Range4{quad(240, 0, 0, 0), 4, "reserved"},
};

// What resolvers hand out instead of addresses: the defaults of sing-box, Xray, Clash (mihomo) and Surge.
constexpr std::array<std::string_view, 3> kPlaceholders{"198.18.0.0/15", "fc00::/18", "fdfe:dcba:9876::/64"};

struct Range6 {
  std::array<std::uint8_t, 16> network;
  int length;
  std::string_view name;
};

// Inside 2000::/3; everything outside it is not global unicast (RFC 4291 section 2.4) and is named below.
constexpr std::array kRanges6{
    Range6{{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation"},
    Range6{{0x20, 0x01, 0x00, 0x02, 0x00, 0x00}, 48, "benchmarking"},
    Range6{{0x20, 0x01}, 23, "IETF protocol assignments"},
    Range6{{0x3f, 0xff}, 20, "documentation"},
};

constexpr std::array kOutside6{
    Range6{{0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, kMetadata},  // AWS
    Range6{{0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, kMetadata},  // Google Cloud
    Range6{{0xfc}, 7, "unique local"},
    Range6{{0xfe, 0x80}, 10, kLinkLocal},
    Range6{{0xfe, 0xc0}, 10, "site-local"},
    Range6{{0xff}, 8, kMulticast},
    Range6{{0x01}, 64, "discard-only"},
    Range6{{0x5f, 0x00}, 16, "segment routing"},
};

constexpr std::array<std::uint8_t, 16> kLoopback6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

// The prefixes that carry an IPv4 address, and where in the sixteen bytes.
struct Embedding {
  std::array<std::uint8_t, 16> network;
  int length;
  std::size_t offset;
  std::uint8_t mask;  // Teredo obfuscates the client's address (RFC 4380 section 4)
};
constexpr std::array kEmbeddings{
    Embedding{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 12, 0},  // mapped (RFC 4291 section 2.5.5.2)
    Embedding{{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}, 96, 12, 0},  // translated (RFC 2765)
    Embedding{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, 12, 0},        // local-use NAT64 (RFC 8215), /96 layout
    Embedding{{0x20, 0x02}, 16, 2, 0},                                 // 6to4 (RFC 3056)
    Embedding{{0x20, 0x01, 0x00, 0x00}, 32, 12, 0xff},                 // Teredo (RFC 4380)
    Embedding{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 96, 12, 0},        // compatible (RFC 4291 section 2.5.5.1)
};

bool has_prefix(std::span<const std::uint8_t> bytes, const std::array<std::uint8_t, 16>& network, int length) {
  for (std::size_t i = 0; length > 0; ++i, length -= 8) {
    const auto mask = static_cast<std::uint8_t>(length >= 8 ? 0xff : 0xff << (8 - length));
    if ((bytes[i] & mask) != network[i]) return false;
  }
  return true;
}

std::uint32_t host_order(std::span<const std::uint8_t> bytes) {
  return quad(bytes[0], bytes[1], bytes[2], bytes[3]);
}

std::string_view class_of_v4(std::uint32_t address) {
  for (const auto& range : kRanges4) {
    const std::uint32_t mask = ~std::uint32_t{0} << (32 - range.length);
    if ((address & mask) == range.network) return range.name;
  }
  return kPublic;
}

std::optional<std::uint32_t> embedded_v4(std::span<const std::uint8_t> bytes) {
  for (const auto& embedding : kEmbeddings) {
    if (!has_prefix(bytes, embedding.network, embedding.length)) continue;
    std::array<std::uint8_t, 4> four{};
    for (std::size_t i = 0; i < 4; ++i) four[i] = bytes[embedding.offset + i] ^ embedding.mask;
    return host_order(four);
  }
  return std::nullopt;
}

constexpr Embedding kNat64{{0x00, 0x64, 0xff, 0x9b}, 96, 12, 0};  // RFC 6052 section 2.1

std::string_view class_of_v6(std::span<const std::uint8_t> bytes) {
  const bool only_last = std::ranges::all_of(bytes.first(15), [](std::uint8_t b) { return b == 0; });
  if (only_last && bytes[15] == 0) return kUnspecified;
  if (only_last && bytes[15] == 1) return kLoopback;
  if (has_prefix(bytes, kNat64.network, kNat64.length)) return class_of_v4(host_order(bytes.subspan(kNat64.offset)));
  if (const auto four = embedded_v4(bytes)) {
    const auto name = class_of_v4(*four);
    return name == kPublic ? "IPv4 embedded in IPv6" : name;
  }
  const bool global = (bytes[0] & 0xe0) == 0x20;
  for (const auto& range : global ? std::span<const Range6>(kRanges6) : std::span<const Range6>(kOutside6)) {
    if (has_prefix(bytes, range.network, range.length)) return range.name;
  }
  return global ? kPublic : "reserved";
}

}  // namespace

std::string_view address_class(const base::IpAddress& address) {
  return address.is_v4() ? class_of_v4(host_order(address.bytes())) : class_of_v6(address.bytes());
}

bool is_public(const base::IpAddress& address) {
  return address_class(address) == kPublic;
}

base::IpAddress beyond_nat64(const base::IpAddress& address) {
  if (address.is_v4() || !has_prefix(address.bytes(), kNat64.network, kNat64.length)) return address;
  return base::IpAddress::v4(host_order(address.bytes().subspan(kNat64.offset)));
}

bool is_never_suggested(const base::IpAddress& address) {
  constexpr std::array kNever{kLoopback, kLinkLocal, kMetadata, kMulticast, kBroadcast, kThisNetwork, kUnspecified};
  return std::ranges::find(kNever, address_class(address)) != kNever.end();
}

bool covers_never_suggested(const base::Cidr& range) {
  const auto overlaps = [&](std::string_view name, const base::IpAddress& network, int length) {
    constexpr std::array kNever{kLoopback, kLinkLocal, kMetadata};
    if (std::ranges::find(kNever, name) == kNever.end()) return false;
    const auto special = base::Cidr::make(network, length);
    return special && (range.contains(*special) || special->contains(range));
  };
  const auto of_v4 = [&](const Range4& special) {
    return overlaps(special.name, base::IpAddress::v4(special.network), special.length);
  };
  const auto of_v6 = [&](const Range6& special) {
    return overlaps(special.name, base::IpAddress::v6(special.network), special.length);
  };
  if (range.address().is_v4()) return std::ranges::any_of(kRanges4, of_v4);
  return range.contains(base::IpAddress::v6(kLoopback6)) || std::ranges::any_of(kOutside6, of_v6);
}

std::optional<base::Cidr> placeholder_range(const base::IpAddress& address) {
  for (const std::string_view text : kPlaceholders) {
    const auto range = base::Cidr::parse(text);
    if (range && range->contains(address)) return *range;
  }
  return std::nullopt;
}

bool is_placeholder(const base::Cidr& range) {
  const auto placeholders = placeholder_range(range.address());
  return placeholders && placeholders->contains(range);
}

bool may_dial(const base::IpAddress& address, std::span<const base::Cidr> permitted) {
  if (is_public(address)) return true;
  const auto judged = address.unmapped();
  return std::ranges::any_of(
      permitted, [&](const base::Cidr& range) { return range.contains(address) || range.contains(judged); });
}

bool may_dial_static(const base::IpAddress& address, std::span<const base::IpAddress> addresses) {
  return !is_never_suggested(address) && std::ranges::find(addresses, address) != addresses.end();
}

}  // namespace soleroute::policy
