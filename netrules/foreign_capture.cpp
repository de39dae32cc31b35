// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/foreign_capture.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>

#include "base/message_buffer.h"
#include "base/netlink_wait.h"
#include "netrules/nftnl_codec.h"
#include "netrules/plan_parts.h"

namespace soleroute::netrules {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;
constexpr std::int32_t kPriorityConntrack = -200;  // NF_IP_PRI_CONNTRACK

struct SocketDeleter {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using OnMessage = std::function<void(const nlmsghdr&)>;

int forward_message(const nlmsghdr* header, void* data) {
  (*static_cast<const OnMessage*>(data))(*header);
  return MNL_CB_OK;
}

// Of every family, on a socket of its own.
base::Status dump(std::uint16_t type, const OnMessage& on_message) {
  constexpr const char* kWhat = "cannot read the rules of other nftables tables";
  const std::unique_ptr<mnl_socket, SocketDeleter> socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return base::errno_error(kWhat);
  base::limit_waiting(mnl_socket_get_fd(socket.get()));
  base::MessageBuffer buffer(kBuffer);
  const nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), type, NFPROTO_UNSPEC, NLM_F_DUMP, 1);
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return base::errno_error(kWhat);
  int state = MNL_CB_OK;
  while (state > MNL_CB_STOP) {
    const ssize_t received = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (received < 0) return base::receive_error(kWhat);
    state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), 1, mnl_socket_get_portid(socket.get()),
                       forward_message, const_cast<OnMessage*>(&on_message));
  }
  if (state < 0) return base::errno_error(kWhat);
  return {};
}

struct TableName {
  std::uint32_t family = 0;
  std::string name;
  auto operator<=>(const TableName&) const = default;
};

// The chains of one foreign table that see a packet before ours capture it, and those that they may jump to.
struct EarlyTable {
  std::map<std::string, std::int32_t> priorities;  // of base chains ahead of ours
  std::vector<std::string> late;                   // base chains that are not
  std::int32_t earliest = 0;
};

using EarlyTables = std::map<TableName, EarlyTable>;

void take_chain(const nftnl_chain& chain, const std::string& own_table, EarlyTables& tables) {
  const std::uint32_t family = nftnl_chain_get_u32(&chain, NFTNL_CHAIN_FAMILY);
  const bool routed = family == NFPROTO_INET || family == NFPROTO_IPV4 || family == NFPROTO_IPV6;
  const std::string table = nftnl_chain_get_str(&chain, NFTNL_CHAIN_TABLE);
  const bool own = family == NFPROTO_INET && table == own_table;
  if (!routed || own || !nftnl_chain_is_set(&chain, NFTNL_CHAIN_HOOKNUM)) return;
  const std::string name = nftnl_chain_get_str(&chain, NFTNL_CHAIN_NAME);
  const std::int32_t priority = nftnl_chain_get_s32(&chain, NFTNL_CHAIN_PRIO);
  EarlyTable& found = tables[{family, table}];
  if (nftnl_chain_get_u32(&chain, NFTNL_CHAIN_HOOKNUM) != NF_INET_PRE_ROUTING || priority >= plan::kPriorityCapture) {
    found.late.push_back(name);
    return;
  }
  found.priorities.emplace(name, priority);
  found.earliest = std::min(found.earliest, priority);
}

// What an expression does to a packet that our capture then misses; the second word tells from which priority on.
std::optional<std::pair<std::string_view, bool>> taking(const Expression& expression) {
  constexpr bool kBeforeTrackingOnly = true;
  if (std::holds_alternative<NoTrackOp>(expression)) return {{"notrack", kBeforeTrackingOnly}};
  if (std::holds_alternative<RedirectOp>(expression)) return {{"redirect", false}};
  if (const auto* target = std::get_if<TargetOp>(&expression)) {
    if (target->name == "CT" || target->name == "NOTRACK") return {{"notrack", kBeforeTrackingOnly}};
    if (target->name == "DNAT" || target->name == "REDIRECT") return {{"dnat", false}};
    if (target->name == "TPROXY") return {{"tproxy", false}};
  }
  if (const auto* foreign = std::get_if<ForeignOp>(&expression)) {
    if (foreign->text.starts_with("[ nat ")) return {{"dnat", false}};
    if (foreign->text.starts_with("[ tproxy ")) return {{"tproxy", false}};
  }
  return std::nullopt;
}

std::optional<std::string> line_of(const nftnl_rule& rule, const EarlyTables& tables) {
  const TableName table{nftnl_rule_get_u32(&rule, NFTNL_RULE_FAMILY), nftnl_rule_get_str(&rule, NFTNL_RULE_TABLE)};
  const auto found = tables.find(table);
  if (found == tables.end() || found->second.priorities.empty()) return std::nullopt;
  const std::string chain = nftnl_rule_get_str(&rule, NFTNL_RULE_CHAIN);
  if (std::ranges::find(found->second.late, chain) != found->second.late.end()) return std::nullopt;
  const auto base = found->second.priorities.find(chain);
  const std::int32_t priority = base == found->second.priorities.end() ? found->second.earliest : base->second;
  for (const Expression& expression : decode_rule(rule, {}).expressions) {
    const auto does = taking(expression);
    if (!does || (does->second && priority > kPriorityConntrack)) continue;
    const char* family = table.family == NFPROTO_INET ? "inet" : table.family == NFPROTO_IPV4 ? "ip" : "ip6";
    return fmt::format("table {} {}, chain {}: {}", family, table.name, chain, does->first);
  }
  return std::nullopt;
}

}  // namespace

base::Result<std::vector<std::string>> foreign_captures(const std::string& own_table) {
  EarlyTables tables;
  auto status = dump(NFT_MSG_GETCHAIN, [&](const nlmsghdr& message) {
    const NftnlPtr<nftnl_chain> chain(nftnl_chain_alloc());
    if (nftnl_chain_nlmsg_parse(&message, chain.get()) >= 0) take_chain(*chain, own_table, tables);
  });
  if (!status) return std::unexpected(status.error());
  std::vector<std::string> lines;
  if (std::ranges::all_of(tables, [](const auto& table) { return table.second.priorities.empty(); })) return lines;
  status = dump(NFT_MSG_GETRULE, [&](const nlmsghdr& message) {
    const NftnlPtr<nftnl_rule> rule(nftnl_rule_alloc());
    if (nftnl_rule_nlmsg_parse(&message, rule.get()) < 0) return;
    auto line = line_of(*rule, tables);
    if (line && std::ranges::find(lines, *line) == lines.end()) lines.push_back(std::move(*line));
  });
  if (!status) return std::unexpected(status.error());
  return lines;
}

}  // namespace soleroute::netrules
