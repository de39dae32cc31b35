// The last look before the gateway calls itself healthy: what must be answered is, what must be refused is.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "base/result.h"
#include "gateway/net/listen.h"

namespace soleroute::gateway::serve {

// RFC 1035 section 4.1: one question, gateway.internal, A, of class CH, which is refused to everybody.
inline constexpr std::array<std::uint8_t, 34> kRefusedQuestion{
    0x53, 0x4f, 0x01, 0x00, 0,   1,   0,   0,   0,   0,   0,   0,   7, 'g', 'a', 't', 'e',
    'w',  'a',  'y',  8,    'i', 'n', 't', 'e', 'r', 'n', 'a', 'l', 0, 0,   1,   0,   3};
[[nodiscard]] bool is_refusal(std::span<const std::uint8_t> answer);  // of that question

// Over loopback, so outside the agents' rules: a DNS question that must be answered (by a refusal of its class, which
// is no decision about a name), and a connection that was not redirected, which must be refused. `mark`: SO_MARK in a
// shared namespace, 0 none. `announce` is told the port of that connection before it is made and 0 after it ended, so
// that it is not logged as an agent's; nobody else can have the port meanwhile. Blocks for at most two seconds.
[[nodiscard]] base::Status self_check(const net::ListenPorts& ports, std::uint32_t mark,
                                      const std::function<void(std::uint16_t)>& announce);

}  // namespace soleroute::gateway::serve
