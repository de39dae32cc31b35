// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/netlink/local_routes.h"

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>

#include "gateway/netlink/request.h"

namespace soleroute::gateway::netlink {
namespace {

constexpr const char* kWhat = "cannot ask the kernel whether an address is this machine's own";
constexpr std::size_t kQuestionSize = 256;
constexpr std::size_t kAnswerSize = 8192;  // of one route, however many ways it has

// What a connection meets as well, when it is routed: it ends nowhere, and so not here.
bool leads_nowhere(int error, bool v6) {
  constexpr std::array kNowhere{ENETUNREACH, EHOSTUNREACH, EACCES, ENETDOWN, EADDRNOTAVAIL, EAFNOSUPPORT};
  return std::ranges::find(kNowhere, error) != kNowhere.end() || (v6 && error == EOPNOTSUPP);  // without IPv6
}

bool is_unspecified(const base::IpAddress& address) {
  return std::ranges::all_of(address.bytes(), [](std::uint8_t byte) { return byte == 0; });
}

// Without multiple tables IPv6 has the main one alone.
std::optional<base::Cidr> parse_local_route(const nlmsghdr& message) {
  const auto& body = body_of<rtmsg>(message);
  if (body.rtm_type != RTN_LOCAL && body.rtm_type != RTN_ANYCAST) return {};
  const Attributes attributes(message, sizeof body);
  const auto table = attributes.u32(RTA_TABLE).value_or(body.rtm_table);
  if (table != RT_TABLE_LOCAL && table != RT_TABLE_MAIN) return {};
  const auto none = body.rtm_family == AF_INET ? base::IpAddress{} : base::IpAddress::v6({});
  const auto prefix = base::Cidr::make(attributes.address(RTA_DST).value_or(none), body.rtm_dst_len);
  return prefix ? std::optional(*prefix) : std::nullopt;
}

}  // namespace

base::Result<std::vector<base::Cidr>> list_local_routes() {
  std::vector<base::Cidr> prefixes;
  for (const int family : {AF_INET, AF_INET6}) {
    Request request(RTM_GETROUTE, NLM_F_DUMP, sizeof(rtmsg));
    request.body<rtmsg>().rtm_family = static_cast<std::uint8_t>(family);
    request.put_u32(RTA_TABLE, RT_TABLE_LOCAL);
    const auto take = [&](const nlmsghdr& message) {
      if (const auto prefix = parse_local_route(message)) prefixes.push_back(*prefix);
    };
    const auto status = request.run("cannot list this machine's own addresses", take, Dump::kStrict);
    if (status) continue;
    const int error = status.error().sys_errno;  // no such table yet, or no IPv6
    if (error != ENOENT && error != EOPNOTSUPP) return std::unexpected(status.error());
  }
  return prefixes;
}

base::Status RouteQuestions::open() {
  if (socket_) return {};
  base::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket) return base::errno_error(kWhat);
  const sockaddr_nl kernel{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) != 0) {
    return base::errno_error(kWhat);
  }
  socket_ = std::move(socket);
  return {};
}

base::Result<bool> RouteQuestions::ends_here(const base::IpAddress& given, std::uint32_t mark) {
  const auto address = given.unmapped();
  if (is_unspecified(address)) return true;  // the kernel takes it for loopback
  SR_TRY(open());
  alignas(nlmsghdr) std::array<char, kQuestionSize> buffer{};
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETROUTE;
  header->nlmsg_flags = NLM_F_REQUEST;
  header->nlmsg_seq = ++sequence_;
  auto* body = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  body->rtm_family = static_cast<std::uint8_t>(family_number(address.family()));
  body->rtm_dst_len = static_cast<std::uint8_t>(address.bits());
  mnl_attr_put(header, RTA_DST, address.bytes().size(), address.bytes().data());
  if (mark != 0) mnl_attr_put_u32(header, RTA_MARK, mark);
  if (::send(socket_.get(), header, header->nlmsg_len, 0) < 0) return base::errno_error(kWhat);
  auto here = hear(address.is_v6());
  if (!here) socket_.reset();  // no late answer is taken for a later question's
  return here;
}

// The kernel has answered by the time the question is sent.
base::Result<bool> RouteQuestions::hear(bool v6) {
  alignas(nlmsghdr) std::array<char, kAnswerSize> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): received
  while (true) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::errno_error(kWhat);
    const auto* answer = reinterpret_cast<const nlmsghdr*>(buffer.data());
    if (!mnl_nlmsg_ok(answer, static_cast<int>(got)) || answer->nlmsg_seq != sequence_) continue;
    const std::size_t length = mnl_nlmsg_get_payload_len(answer);
    if (answer->nlmsg_type == NLMSG_ERROR && length >= sizeof(nlmsgerr)) {
      const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(answer));
      if (leads_nowhere(-error->error, v6)) return false;
      return base::errno_error(kWhat, -error->error);
    }
    if (answer->nlmsg_type != RTM_NEWROUTE || length < sizeof(rtmsg)) return base::errno_error(kWhat, EPROTO);
    const auto type = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(answer))->rtm_type;
    return type == RTN_LOCAL || type == RTN_ANYCAST;
  }
}

}  // namespace soleroute::gateway::netlink
