// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/page.h"

#include <fmt/format.h>

#include "base/text.h"
#include "sniffer/http1_text.h"

namespace soleroute::gateway::http {
namespace {

std::string_view phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
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
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Refused";
  }
}

// Of causes, which hold names and addresses and never what a client sent.
constexpr std::size_t kMostOfACause = 500;

std::string_view content_type(const Page& page) {
  if (!page.content_type.empty()) return page.content_type;
  return page.json ? "application/json" : "text/plain; charset=utf-8";
}

}  // namespace

std::vector<std::pair<std::string_view, std::string>> fields_of(const Page& page) {
  std::vector<std::pair<std::string_view, std::string>> fields{
      {"Content-Type", std::string(content_type(page))},
      {"Content-Length", std::to_string(page.size())},
      {"Cache-Control", "no-store"},
      {"X-Content-Type-Options", "nosniff"},
  };
  if (!page.reason.empty()) fields.emplace_back("X-Soleroute-Reason", page.reason);
  if (page.status == 405) fields.emplace_back("Allow", page.allow);
  return fields;
}

std::string render(const Page& page, bool to_head, bool close) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", page.status, phrase(page.status));
  for (const auto& [name, value] : fields_of(page)) out.append(name).append(": ").append(value).append("\r\n");
  out += close ? "Connection: close\r\n\r\n" : "\r\n";
  if (!to_head) out += page.body;
  return out;
}

Page fault_page(int status, std::string_view reason, std::string_view fault) {
  return {status, reason, fmt::format("{} {}: {}\n", status, phrase(status), fault)};
}

Page upstream_page(int status, std::string_view reason, const std::string& host, const std::string& cause) {
  return {status, reason,
          fmt::format("The policy allows {}, but the gateway got no answer from it.\n\n{}\nReason: {}\n",
                      base::shown_ascii(host, kMostOfACause), base::shown_ascii(cause, kMostOfACause), reason)};
}

void AcceptedTypes::see(std::string_view accept) {
  sniffer::http1::for_each_element(accept, [this](std::string_view element) {
    const auto type = sniffer::http1::trimmed(element.substr(0, element.find(';')));
    ++types_;
    json_ += sniffer::http1::same_ignoring_case(type, "application/json") ? 1 : 0;
  });
}

bool wants_json(const sniffer::RequestHead& head) {
  AcceptedTypes accepted;
  for (const auto& field : head.fields) {
    if (sniffer::http1::same_ignoring_case(field.name, "accept")) accepted.see(field.value);
  }
  return accepted.json_alone();
}

}  // namespace soleroute::gateway::http
