// NFQUEUE on the wire: the netlink messages that configure a queue, that arrive from it, and that release its packets.
// Pure functions but for open_packet_queue(), which is declared in packet_log.h.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/byte_reader.h"

namespace soleroute::gateway::queue {

inline constexpr std::uint32_t kCopyRange = 256;     // headers with options and extensions, and a QUIC or DNS hint
inline constexpr std::uint32_t kQueueLength = 1024;  // packets held by the kernel; more go on unseen
inline constexpr std::size_t kMessageBuffer = 8192;

enum class Messages : std::uint8_t { kSound, kNotOfTheKernel };
// Calls visit(packet id, bytes) for each packet in one read from the socket.
[[nodiscard]] Messages each_packet(base::Bytes messages,
                                   const std::function<void(std::uint32_t id, base::Bytes packet)>& visit);

// "Let every packet up to and including this one go on", for all of a batch at once; also for packets whose message
// was lost on the way here.
[[nodiscard]] std::vector<std::byte> accept_up_to(std::uint16_t queue, std::uint32_t id);

}  // namespace soleroute::gateway::queue
