// SPDX-License-Identifier: GPL-3.0-or-later
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>

#include "gateway/flow/http1_to_http2.h"
#include "gateway/flow/http2_response.h"
#include "sniffer/http1_text.h"

namespace soleroute::gateway::flow {
namespace {

namespace text = sniffer::http1;

}  // namespace

Http2Request http2_request(const sniffer::RequestHead& head) {
  Http2Request request;
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

std::string websocket_accept(std::string_view key) {
  const std::string salted = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(salted.data(), salted.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) return {};
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> encoded{};
  const int length = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(length)};
}

}  // namespace soleroute::gateway::flow
