// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/connections.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "gateway/netlink/connection_tuple.h"
#include "gateway/netlink/request.h"

namespace soleroute::gateway::netlink {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::chrono::milliseconds kWait{2000};

constexpr std::uint16_t ctnetlink(int message) {
  return static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8) | message);
}

std::optional<std::uint32_t> network_u32(Bytes bytes) {
  std::uint32_t value = 0;
  if (bytes.size() != sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data(), sizeof value);
  return ntohl(value);
}

std::optional<TrackedConnection> connection_in(const Attributes& entry) {
  const auto sent = tuple_in(entry.bytes(CTA_TUPLE_ORIG));
  const auto answers = tuple_in(entry.bytes(CTA_TUPLE_REPLY));
  if (!sent || !answers || (sent->protocol != kTcp && sent->protocol != kUdp)) return std::nullopt;
  const auto status = network_u32(entry.bytes(CTA_STATUS)).value_or(0);
  return TrackedConnection{.protocol = sent->protocol,
                           .source = sent->source,
                           .destination = sent->destination,
                           .answers_from = answers->source,
                           .redirected = (status & IPS_DST_NAT) != 0};
}

// What names one entry to the kernel: a flow that took its place meanwhile has another number.
struct Named {
  std::uint8_t family = AF_UNSPEC;
  std::vector<std::uint8_t> tuple;
  std::vector<std::uint8_t> zone;
  std::vector<std::uint8_t> id;
};

std::vector<std::uint8_t> copy_of(Bytes bytes) {
  return {bytes.begin(), bytes.end()};
}

base::Status forget(const Named& entry) {
  Request request(ctnetlink(IPCTNL_MSG_CT_DELETE), NLM_F_ACK, sizeof(nfgenmsg), NETLINK_NETFILTER);
  request.body<nfgenmsg>().nfgen_family = entry.family;
  request.put_bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, entry.tuple);
  if (!entry.zone.empty()) request.put_bytes(CTA_ZONE, entry.zone);
  if (!entry.id.empty()) request.put_bytes(CTA_ID, entry.id);
  return request.run("cannot remove an entry of the connection table", {}, Dump::kWhole, kWait);
}

}  // namespace

base::Result<Forgotten> forget_connections(const std::function<bool(const TrackedConnection&)>& is_stale) {
  std::vector<Named> stale;
  Forgotten forgotten;
  const auto look = [&](const nlmsghdr& message) {
    const auto& body = body_of<nfgenmsg>(message);
    const Attributes entry(message, sizeof body);
    const auto connection = connection_in(entry);
    if (!connection || !is_stale(*connection)) return;
    forgotten.all = stale.size() < kMaxForgotten;
    if (!forgotten.all) return;
    stale.push_back({body.nfgen_family, copy_of(entry.bytes(CTA_TUPLE_ORIG)), copy_of(entry.bytes(CTA_ZONE)),
                     copy_of(entry.bytes(CTA_ID))});
  };
  Request request(ctnetlink(IPCTNL_MSG_CT_GET), NLM_F_DUMP, sizeof(nfgenmsg), NETLINK_NETFILTER);
  SR_TRY(request.run("cannot read the connection table", look, Dump::kWhole, kWait));
  for (const auto& entry : stale) {
    auto removed = forget(entry);
    if (!removed && removed.error().sys_errno != ENOENT) return std::unexpected(removed.error());
    if (removed) ++forgotten.entries;
  }
  return forgotten;
}

}  // namespace soleroute::gateway::netlink
