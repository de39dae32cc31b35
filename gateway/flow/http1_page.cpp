// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/http1_page.h"

#include <fmt/format.h>

#include "sniffer/http1_text.h"

namespace soleroute::gateway::flow {
namespace {

std::string_view phrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Refused";
  }
}

// Only what can stand in a page and a field: causes hold names and addresses, never what a client sent.
std::string plain(std::string_view text) {
  constexpr std::size_t kMax = 500;
  std::string out;
  for (const char c : text.substr(0, kMax)) out += (c >= ' ' && c < 0x7f) ? c : '?';
  return out;
}

}  // namespace

std::string render(const Page& page, bool to_head, bool close) {
  std::string out = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\n",
      page.status, phrase(page.status), page.json ? "application/json" : "text/plain; charset=utf-8", page.body.size());
  if (!page.reason.empty()) out.append("X-Soleroute-Reason: ").append(page.reason).append("\r\n");
  if (page.status == 405) out += "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
  out += close ? "Connection: close\r\n\r\n" : "\r\n";
  if (!to_head) out += page.body;
  return out;
}

Page fault_page(int status, std::string_view reason, std::string_view fault) {
  return {status, reason, fmt::format("{} {}: {}\n", status, phrase(status), fault)};
}

Page upstream_page(int status, std::string_view reason, const std::string& host, const std::string& cause) {
  return {status, reason,
          fmt::format("The policy allows {}, but the gateway got no answer from it.\n\n{}\nReason: {}\n", plain(host),
                      plain(cause), reason)};
}

bool wants_json(const sniffer::RequestHead& head) {
  int types = 0;
  int json = 0;
  for (const auto& field : head.fields) {
    if (!sniffer::http1::same_ignoring_case(field.name, "accept")) continue;
    sniffer::http1::for_each_element(field.value, [&](std::string_view element) {
      const auto type = sniffer::http1::trimmed(element.substr(0, element.find(';')));
      ++types;
      json += sniffer::http1::same_ignoring_case(type, "application/json") ? 1 : 0;
    });
  }
  return types > 0 && json == types;
}

}  // namespace soleroute::gateway::flow
