// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h2/response.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "sniffer/http1_text.h"

namespace soleroute::gateway::http::h2 {
namespace {

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

// As grpc-message is written: everything but printable ASCII, and the percent sign.
std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

namespace text = sniffer::http1;

std::string lowered(std::string_view name) {
  std::string out(name);
  std::ranges::transform(out, out.begin(), text::lower);
  return out;
}

constexpr std::array<std::string_view, 6> kNotForwarded{"connection",        "keep-alive", "proxy-connection",
                                                        "transfer-encoding", "upgrade",    "alt-svc"};

}  // namespace

http2::Fields forwarded_response(const http2::Fields& head) {
  http2::Fields out = head;
  std::erase_if(out, [](const http2::Field& field) { return field.name == "alt-svc"; });
  return out;
}

http2::Field lower_case(const sniffer::HeaderField& field) {
  return {lowered(field.name), std::string(field.value)};
}

http2::Fields end_to_end_fields(std::span<const sniffer::HeaderField> fields) {
  std::vector<std::string> dropped(kNotForwarded.begin(), kNotForwarded.end());
  for (const auto& field : fields) {
    if (!text::same_ignoring_case(field.name, "connection")) continue;
    text::for_each_element(field.value, [&](std::string_view named) { dropped.push_back(lowered(named)); });
  }
  http2::Fields out;
  for (const auto& field : fields) {
    auto kept = lower_case(field);
    if (std::ranges::find(dropped, kept.name) == dropped.end()) out.push_back(std::move(kept));
  }
  return out;
}

http2::Fields forwarded_response(const sniffer::ResponseHead& head) {
  http2::Fields out{{":status", std::to_string(head.status)}};
  for (auto& field : end_to_end_fields(head.fields)) out.push_back(std::move(field));
  return out;
}

http2::Fields page_head(const Page& page) {
  http2::Fields out{{":status", std::to_string(page.status)}};
  for (const auto& [name, value] : fields_of(page)) out.push_back({lowered(name), value});
  return out;
}

http2::Fields grpc_head(const Page& page) {
  constexpr std::string_view kPermissionDenied = "7";
  constexpr std::string_view kUnavailable = "14";
  const bool refused = page.status < 500;
  http2::Fields out{{":status", "200"},
                    {"content-type", "application/grpc"},
                    {"cache-control", "no-store"},
                    {"grpc-status", std::string(refused ? kPermissionDenied : kUnavailable)},
                    {"grpc-message", percent_encoded(page.message.empty() ? first_line(page.body) : page.message)}};
  if (!page.reason.empty()) out.push_back({"x-soleroute-reason", std::string(page.reason)});
  return out;
}

std::shared_ptr<http2::Body> page_body(const Page& page, std::shared_ptr<net::ClientBuffers> buffers) {
  auto body = std::make_shared<http2::Body>();
  body->account_to(std::move(buffers));
  body->append(base::as_bytes(page.body));
  if (page.rest) body->append_shared(page.rest);
  body->finish();
  return body;
}

}  // namespace soleroute::gateway::http::h2
