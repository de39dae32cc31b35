// The head of an answer that servers write in other ways than the grammar has it, and that browsers and curl accept,
// put into plain form: what is forwarded has one reading again. For http1_response.cpp only.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "sniffer/http1_fields.h"

namespace soleroute::sniffer::http1 {

struct PlainHead {
  std::string text;      // ends in a blank line; to be parsed as strictly as any other
  std::size_t size = 0;  // of the head as it was received
};

// - A line that ends in LF alone, blanks between a field's name and its colon: as if they were right.
// - A folded field: the fold becomes a space (RFC 9112 section 5.2).
// - Content-Length several times with one number, or with leading zeros: the number, once (RFC 9110 section 8.6).
// - On 204 a Transfer-Encoding or a Content-Length that is not 0, anywhere `Transfer-Encoding: identity`: left out; the
//   connection closes after the answer, since something may follow that is no answer.
// - Transfer-Encoding several times `chunked` and nothing else: once. On HTTP/1.0, where readers differ on it: as
//   HTTP/1.1, and the connection closes (RFC 9112 section 6.1).
// - In Connection what is no token, and names of fields that frame: left out.
// - A field whose name is no token, or a look-alike of a framing field ("Content_Length"): left out.
// Whatever else is wrong stays as it is, for the parser to refuse.
[[nodiscard]] Step<PlainHead> plain_response_head(std::string_view received);

}  // namespace soleroute::sniffer::http1
