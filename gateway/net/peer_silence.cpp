// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/peer_silence.h"

#include <netinet/in.h>
#include <sys/socket.h>

namespace soleroute::gateway::net {
namespace {

constexpr int kProbeInterval = 10;  // seconds

void set(int socket, int level, int option, int value) {
  ::setsockopt(socket, level, option, &value, sizeof value);
}

void keep_alive(int socket, int probes) {
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(kKeepaliveIdle.count()));
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, kProbeInterval);
  set(socket, IPPROTO_TCP, TCP_KEEPCNT, probes);
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
}

}  // namespace

void keep_alive_origin(int socket) {
  keep_alive(socket, kUnanswered + 1);
}

void keep_alive_clients_of(int listener) {
  keep_alive(listener, kClientProbes);
}

bool is_silent(const tcp_info& info, std::chrono::milliseconds longest) {
  const bool resent = info.tcpi_unacked > 0 && info.tcpi_retransmits >= kUnanswered;
  if (!resent && info.tcpi_probes < kUnanswered) return false;
  return std::chrono::milliseconds(info.tcpi_last_ack_recv) >= longest;
}

bool is_silent(int socket, std::chrono::milliseconds longest) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && is_silent(info, longest);
}

}  // namespace soleroute::gateway::net
