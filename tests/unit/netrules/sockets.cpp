// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/unit/netrules/sockets.h"

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace soleroute::netrules::testing {
namespace {

constexpr int kOriginalDestination = 80;  // SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST

base::Fd make_socket(base::Family family, int type) {
  base::Fd socket(::socket(family == base::Family::kV4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(socket) << std::strerror(errno);
  return socket;
}

base::Fd server(int type, std::uint16_t port, const char* address) {
  const base::Endpoint name = at(address, port);
  base::Fd socket = make_socket(name.address.family(), type);
  const int zero = 0, one = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (name.address.is_v6()) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  sockaddr_storage storage{};
  const unsigned length = name.to_sockaddr(storage);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&storage), length), 0) << port << std::strerror(errno);
  return socket;
}

bool ready(const base::Fd& socket, short events, milliseconds within) {
  pollfd wait{socket.get(), events, 0};
  return ::poll(&wait, 1, static_cast<int>(within.count())) > 0;
}

int pending_error(const base::Fd& socket) {
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

// IPv4 arrives on a dual-stack socket with its own option.
base::Endpoint original_destination(const base::Fd& socket) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  if (::getsockopt(socket.get(), SOL_IP, kOriginalDestination, &name, &length) != 0) {
    length = sizeof name;
    if (::getsockopt(socket.get(), SOL_IPV6, kOriginalDestination, &name, &length) != 0) {
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &length);
    }
  }
  return base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(name));
}

base::Fd client_socket(const base::Endpoint& to, int type, std::uint32_t mark) {
  base::Fd socket = make_socket(to.address.family(), type);
  if (mark != 0) {
    EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
  }
  return socket;
}

int connect_to(const base::Fd& socket, const base::Endpoint& to) {
  sockaddr_storage name{};
  const unsigned length = to.to_sockaddr(name);
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&name), length) == 0 ? 0 : errno;
}

}  // namespace

base::Endpoint at(const char* address, std::uint16_t port) {
  return {*base::IpAddress::parse(address), port};
}

base::Fd tcp_server(std::uint16_t port, const char* address) {
  base::Fd socket = server(SOCK_STREAM, port, address);
  EXPECT_EQ(::listen(socket.get(), 64), 0);
  return socket;
}

base::Fd udp_server(std::uint16_t port, const char* address) {
  return server(SOCK_DGRAM, port, address);
}

std::optional<Accepted> accept_one(const base::Fd& server, milliseconds within) {
  if (!ready(server, POLLIN, within)) return std::nullopt;
  base::Fd socket(::accept4(server.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket) return std::nullopt;
  const base::Endpoint original = original_destination(socket);
  return Accepted{std::move(socket), original};
}

bool receive_one(const base::Fd& server, milliseconds within) {
  std::array<char, 2048> buffer{};
  return ready(server, POLLIN, within) && ::recv(server.get(), buffer.data(), buffer.size(), 0) >= 0;
}

base::Fd start_tcp(const base::Endpoint& to, std::uint32_t mark) {
  base::Fd socket = client_socket(to, SOCK_STREAM, mark);
  const int error = connect_to(socket, to);
  EXPECT_TRUE(error == 0 || error == EINPROGRESS || error == ECONNREFUSED) << std::strerror(error);
  return socket;
}

int finish_tcp(const base::Fd& socket, milliseconds within) {
  return ready(socket, POLLOUT, within) ? pending_error(socket) : ETIMEDOUT;
}

Client connect_tcp(const base::Endpoint& to, milliseconds within, std::uint32_t mark) {
  base::Fd socket = client_socket(to, SOCK_STREAM, mark);
  const int error = connect_to(socket, to);
  if (error != EINPROGRESS) return {std::move(socket), error};
  const int finished = finish_tcp(socket, within);
  return {std::move(socket), finished};
}

Client send_udp(const base::Endpoint& to, milliseconds refusal_within, std::uint32_t mark) {
  base::Fd socket = client_socket(to, SOCK_DGRAM, mark);
  if (const int error = connect_to(socket, to); error != 0) return {std::move(socket), error};
  if (::send(socket.get(), "probe", 5, 0) < 0) return {std::move(socket), errno};
  if (refusal_within.count() == 0 || !ready(socket, POLLERR, refusal_within)) return {std::move(socket), 0};
  const int error = pending_error(socket);
  return {std::move(socket), error};
}

int write_and_wait(const base::Fd& connection, milliseconds within) {
  if (::send(connection.get(), "more", 4, MSG_NOSIGNAL) < 0) return errno;
  if (!ready(connection, POLLIN, within)) return 0;
  std::array<char, 64> buffer{};
  const ssize_t got = ::recv(connection.get(), buffer.data(), buffer.size(), 0);
  return got < 0 ? errno : 0;
}

QueueListener::QueueListener(std::uint16_t number)
    : number_(number), socket_(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)) {
  EXPECT_NE(socket_, nullptr);
  EXPECT_EQ(mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID), 0);
  std::array<char, 4096> buffer{};
  nlmsghdr* message = nfq_nlmsg_put(buffer.data(), NFQNL_MSG_CONFIG, number);
  nfq_nlmsg_cfg_put_cmd(message, AF_INET, NFQNL_CFG_CMD_BIND);
  EXPECT_GT(mnl_socket_sendto(socket_, message, message->nlmsg_len), 0);
  message = nfq_nlmsg_put(buffer.data(), NFQNL_MSG_CONFIG, number);
  nfq_nlmsg_cfg_put_params(message, NFQNL_COPY_PACKET, 128);
  EXPECT_GT(mnl_socket_sendto(socket_, message, message->nlmsg_len), 0);
}

QueueListener::~QueueListener() {
  mnl_socket_close(socket_);
}

int QueueListener::serve(int at_most, milliseconds within) {
  int served = 0;
  std::array<char, 8192> buffer{};
  while (served < at_most) {
    pollfd wait{mnl_socket_get_fd(socket_), POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(within.count())) <= 0) return served;
    const ssize_t got = mnl_socket_recvfrom(socket_, buffer.data(), buffer.size());
    if (got <= 0) return served;
    int left = static_cast<int>(got);
    for (const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      std::array<nlattr*, NFQA_MAX + 1> attributes{};
      if (nfq_nlmsg_parse(header, attributes.data()) < 0 || attributes[NFQA_PACKET_HDR] == nullptr) continue;
      const auto* packet = static_cast<const nfqnl_msg_packet_hdr*>(mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]));
      std::array<char, 256> answer{};
      nlmsghdr* verdict = nfq_nlmsg_put(answer.data(), NFQNL_MSG_VERDICT, number_);
      nfq_nlmsg_verdict_put(verdict, static_cast<int>(ntohl(packet->packet_id)), NF_ACCEPT);
      mnl_socket_sendto(socket_, verdict, verdict->nlmsg_len);
      ++served;
    }
  }
  return served;
}

}  // namespace soleroute::netrules::testing
