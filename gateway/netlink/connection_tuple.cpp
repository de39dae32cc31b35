// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/connection_tuple.h"

#include <linux/netfilter/nfnetlink_conntrack.h>

#include "gateway/netlink/request.h"

namespace soleroute::gateway::netlink {
namespace {

using Bytes = std::span<const std::uint8_t>;

std::uint16_t port_in(Bytes bytes) {
  return bytes.size() == 2 ? static_cast<std::uint16_t>((bytes[0] << 8) | bytes[1]) : std::uint16_t{0};
}

}  // namespace

std::optional<ConnectionTuple> tuple_in(Bytes nested) {
  const Attributes tuple(nested);
  const Attributes ip(tuple.bytes(CTA_TUPLE_IP));
  const Attributes protocol(tuple.bytes(CTA_TUPLE_PROTO));
  const bool v4 = !ip.bytes(CTA_IP_V4_SRC).empty();
  const auto source = ip.address(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC);
  const auto destination = ip.address(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST);
  const auto number = protocol.bytes(CTA_PROTO_NUM);
  if (!source || !destination || number.empty()) return std::nullopt;
  return ConnectionTuple{number.front(),
                         {*source, port_in(protocol.bytes(CTA_PROTO_SRC_PORT))},
                         {*destination, port_in(protocol.bytes(CTA_PROTO_DST_PORT))}};
}

}  // namespace soleroute::gateway::netlink
