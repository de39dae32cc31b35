// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/websocket_handshake.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "sniffer/http1_text.h"

namespace soleroute::gateway::http {
namespace {

namespace text = sniffer::http1;

constexpr std::string_view kProtocolName = "sec-websocket-protocol";
constexpr std::string_view kExtensionsName = "sec-websocket-extensions";
constexpr std::string_view kAcceptName = "sec-websocket-accept";

// "permessage-deflate; client_max_window_bits" without its parameters, which the two sides negotiate.
std::string extension_name(std::string_view element) {
  std::string name(text::trimmed(element.substr(0, element.find(';'))));
  std::ranges::transform(name, name.begin(), text::lower);
  return name;
}

template <class Fields>
WebSocketOffer offer_in(const Fields& fields) {
  WebSocketOffer offer;
  for (const auto& field : fields) {
    if (text::same_ignoring_case(field.name, kProtocolName)) {
      text::for_each_element(field.value, [&](auto element) { offer.protocols.emplace_back(element); });
    } else if (text::same_ignoring_case(field.name, kExtensionsName)) {
      text::for_each_element(field.value, [&](auto element) { offer.extensions.push_back(extension_name(element)); });
    }
  }
  return offer;
}

bool holds(const std::vector<std::string>& list, std::string_view wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

template <class Fields>
std::string_view fault_in(const WebSocketOffer& offer, const Fields& answer) {
  int protocols = 0;
  std::string_view fault;
  for (const auto& field : answer) {
    if (text::same_ignoring_case(field.name, kProtocolName)) {
      if (++protocols > 1 || !holds(offer.protocols, field.value)) fault = "a protocol that was not offered";
    } else if (text::same_ignoring_case(field.name, kExtensionsName)) {
      text::for_each_element(field.value, [&](auto element) {
        if (!holds(offer.extensions, extension_name(element))) fault = "an extension that was not offered";
      });
    }
  }
  return fault;
}

}  // namespace

WebSocketOffer websocket_offer(const sniffer::RequestHead& request) {
  WebSocketOffer offer = offer_in(request.fields);
  offer.accept = websocket_accept(request.websocket_key);
  return offer;
}

WebSocketOffer websocket_offer(const http2::Fields& request) {
  return offer_in(request);
}

std::string_view websocket_fault(const WebSocketOffer& offer, const sniffer::ResponseHead& answer) {
  int accepts = 0;
  bool right = !offer.accept.empty();
  for (const auto& field : answer.fields) {
    if (!text::same_ignoring_case(field.name, kAcceptName)) continue;
    ++accepts;
    right = right && field.value == offer.accept;
  }
  if (!answer.to_websocket) return "no Upgrade and Connection for it";
  if (accepts != 1 || !right) return "no Sec-WebSocket-Accept that answers the request's key";
  return fault_in(offer, answer.fields);
}

std::string_view websocket_fault(const WebSocketOffer& offer, const http2::Fields& answer) {
  return fault_in(offer, answer);
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

}  // namespace soleroute::gateway::http
