// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/protocol_guess.h"

#include <algorithm>
#include <string_view>

#include "sniffer/http1_text.h"

namespace soleroute::sniffer {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0";  // RFC 9113 section 3.4, as far as it need be seen
constexpr std::size_t kLongestWord = 64;                 // a longer first word is left to the HTTP parser to refuse

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// RFC 4253 section 4.2: "SSH-2.0-software comments", at most 255 bytes. With "HTTP/" in it, a server could read it as a
// request.
Protocol guess_ssh(std::string_view text) {
  constexpr std::size_t kLongestBanner = 255;
  const auto end = text.find('\n');
  if (end == std::string_view::npos && text.size() < kLongestBanner) return Protocol::kNeedMore;
  return end >= kLongestBanner || text.substr(0, end).contains("HTTP/") ? Protocol::kHttp1 : Protocol::kOther;
}

Protocol guess_text(std::string_view text) {
  constexpr std::string_view kSsh = "SSH-2.0-";
  if (text.starts_with(kSsh)) return guess_ssh(text);
  if (is_blank(text.front())) return Protocol::kHttp1;  // allowed once or refused with a page: the parser knows
  if (!http1::is_token_char(text.front())) return Protocol::kOther;
  const auto* const end = std::ranges::find_if_not(text, http1::is_token_char);
  const auto word = static_cast<std::size_t>(end - text.begin());
  if (word > kLongestWord) return Protocol::kHttp1;
  if (end == text.end()) return Protocol::kNeedMore;
  // A banner or command of one word ("SSH-2.0-x", "QUIT") is not a request line, not even of HTTP/0.9.
  return *end == '\r' || *end == '\n' ? Protocol::kOther : Protocol::kHttp1;
}

}  // namespace

Protocol guess_protocol(base::Bytes received) {
  if (received.empty()) return Protocol::kNeedMore;
  constexpr std::byte kHandshake{22};
  constexpr std::byte kMajor{3};
  if (received[0] == kHandshake) {
    if (received.size() == 1) return Protocol::kNeedMore;
    return received[1] == kMajor ? Protocol::kTls : Protocol::kOther;
  }
  const auto text = base::as_text(received);
  if (text.starts_with(kPreface)) return Protocol::kHttp2Preface;
  if (kPreface.starts_with(text)) return Protocol::kNeedMore;
  return guess_text(text);
}

}  // namespace soleroute::sniffer
