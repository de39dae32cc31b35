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
  std::string text;       // ends in a blank line; to be parsed as strictly as any other
  std::size_t size = 0;   // of the head as it was received
  bool doubtful = false;  // readers differ on where this answer ends: nothing may follow it on its connections
};

// Can these bytes, of which more may come, begin an answer?
[[nodiscard]] bool may_begin_response(std::string_view received);

// - A line that ends in LF alone, blanks between a field's name and its colon, several blanks in the status line: as if
//   they were right.
// - A folded field: the fold becomes a space (RFC 9112 section 5.2). A control character in a value or in the reason
//   phrase, CR included: a space (section 2.2). NUL in a field is refused.
// - Content-Length several times with one number, with leading zeros or a plus sign: the number, once (RFC 9110 section
//   8.6).
// - A field whose name is no token, or a look-alike of a framing field ("Content_Length"), or a TE that names chunked:
//   left out. In Connection what is no token, and names of fields that frame: left out.
// - In the answer to HEAD and in 304 a Transfer-Encoding, and a Content-Length that is no number: left out, where the
//   head is not in plain form.
// The following are doubtful as well, and are forwarded with `Connection: close`:
// - Empty lines before the status line; a version other than 1.0 and 1.1, or in lower case; the ICY of streaming
//   servers, read as HTTP/1.0.
// - On 1xx and 204 a Transfer-Encoding or a Content-Length that is not 0: left out.
// - `identity` in Transfer-Encoding: left out. `chunked` several times and nothing else: once. On HTTP/1.0, where
//   readers differ on it: as HTTP/1.1 (RFC 9112 section 6.1).
// - Content-Length beside Transfer-Encoding: left out (RFC 9112 section 6.3).
// - A framing field with a fold or with blanks before its colon; a bare CR anywhere. CR CR LF ends a line.
// Whatever else is wrong stays as it is, for the parser to refuse.
[[nodiscard]] Step<PlainHead> plain_response_head(std::string_view received, std::string_view method);

}  // namespace soleroute::sniffer::http1
