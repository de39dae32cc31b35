// What one step of carrying a message between HTTP/1 and HTTP/2 came to.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

namespace soleroute::gateway::http::h2 {

enum class Read : std::uint8_t { kMore, kNoMore };  // kNoMore: the end of the stream, or a failure
enum class Room : std::uint8_t { kFree, kNone };    // kNone: the other side is gone, or has taken nothing for too long
enum class Syntax : std::uint8_t { kSound, kMalformed };
enum class Message : std::uint8_t { kWhole, kCutShort };
enum class Next : std::uint8_t { kGoesOn, kOver };  // on this connection or stream

}  // namespace soleroute::gateway::http::h2
