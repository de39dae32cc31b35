// Numbers of the DNS message header (RFC 1035 section 4.1.1) that reading and writing share.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>

namespace soleroute::sniffer {

inline constexpr std::size_t kDnsHeaderBytes = 12;
inline constexpr std::uint16_t kCheckingDisabled = 0x0010;  // the CD flag, RFC 4035 section 3.2.2

}  // namespace soleroute::sniffer
