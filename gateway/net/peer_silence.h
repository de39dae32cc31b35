// Whether the other end of a TCP connection still answers, as its kernel tells. TCP itself gives up after a quarter of
// an hour only, and a time limit for bytes would cut who is merely slow.
// Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <netinet/tcp.h>

#include <chrono>

namespace soleroute::gateway::net {

// A peer that acknowledges nothing for so long, asked again and again, is gone. The kernel does not tell since when it
// asks in vain, only how long it has heard nothing; so that has to be seen at two looks in a row.
inline constexpr std::chrono::milliseconds kPeerSilence{45000};
inline constexpr std::chrono::milliseconds kPeerSilenceCheck{15000};  // how often it is looked at

// Unanswered retransmissions or probes that it takes besides, so that one that is lost means nothing.
inline constexpr int kUnanswered = 3;

// An idle connection is probed this often (RFC 1122 section 4.2.3.6), so that a NAT that forgets idle connections after
// a minute keeps it. Connections to origins are probed from the first look on: their first probe comes after at most
// kPeerSilenceCheck + kKeepaliveIdle. Idle connections stay open as long as the peer answers.
inline constexpr std::chrono::seconds kKeepaliveIdle{30};
// Unanswered probes, ten seconds apart, after which the kernel gives up a client. More than for an origin: an agent's
// virtual machine may be paused for a while.
inline constexpr int kClientProbes = 9;
void keep_alive_origin(int socket);
// Accepted sockets inherit it, which costs no system call for each connection.
void keep_alive_clients_of(int listener);

// Of getsockopt(TCP_INFO). A window that stays closed is no silence: its probes are answered.
[[nodiscard]] bool is_silent(const tcp_info& info, std::chrono::milliseconds longest);
[[nodiscard]] bool is_silent(int socket, std::chrono::milliseconds longest);

}  // namespace soleroute::gateway::net
