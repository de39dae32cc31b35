// What a TCP client speaks, guessed from its first bytes: enough to choose a parser, never to allow.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "base/byte_reader.h"

namespace soleroute::sniffer {

enum class Protocol { kTls, kHttp1, kHttp2Preface, kOther, kNeedMore };

[[nodiscard]] Protocol guess_protocol(base::Bytes received);

}  // namespace soleroute::sniffer
