// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/stillness.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>

namespace soleroute::gateway::net {
namespace {

// The kernel's struct tcp_info (since Linux 4.1) goes on where the C library's ends; its own header cannot be included
// beside that one.
struct CountedInfo {
  tcp_info basic;
  std::uint64_t pacing_rate;
  std::uint64_t max_pacing_rate;
  std::uint64_t bytes_acked;
  std::uint64_t bytes_received;
  std::uint32_t segments_out;
  std::uint32_t segments_in;
  std::uint32_t unsent_bytes;
};
static_assert(sizeof(tcp_info) == 104);

}  // namespace

bool is_still(int socket, std::chrono::milliseconds still) {
  CountedInfo info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  if (info.bytes_received == 0) return true;
  const std::chrono::milliseconds since{std::min(info.basic.tcpi_last_data_recv, info.basic.tcpi_last_data_sent)};
  return since >= still && info.basic.tcpi_unacked == 0 && info.unsent_bytes == 0;
}

}  // namespace soleroute::gateway::net
