// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h2/http1_over_http2_heads.h"

#include <algorithm>
#include <utility>

#include "gateway/http/h2/response.h"
#include "sniffer/http1_text.h"

namespace soleroute::gateway::http::h2 {
namespace {

namespace text = sniffer::http1;

}  // namespace

Request http2_request(const sniffer::RequestHead& head) {
  Request request;
  request.method = std::string(head.method);
  request.path = sniffer::origin_form(head);
  request.websocket = head.upgrade == sniffer::Upgrade::kWebSocket;
  for (auto& field : end_to_end_fields(head.fields)) {
    if (field.name == "host") {
      request.authority = std::move(field.value);
    } else if (!text::is_one_of(field.name, {"te", "sec-websocket-key"})) {
      field.sensitive = true;
      request.fields.push_back(std::move(field));
    }
  }
  return request;
}

std::string http1_answer_head(const http2::Fields& head, std::string_view framing) {
  std::string out = "HTTP/1.1 ";
  for (const auto& field : head) {
    if (field.name == ":status") {
      out.append(field.value).append(" \r\n");  // HTTP/2 has no words for it
    } else {
      out.append(field.name).append(": ").append(field.value).append("\r\n");
    }
  }
  return out.append(framing).append("\r\n");
}

}  // namespace soleroute::gateway::http::h2
