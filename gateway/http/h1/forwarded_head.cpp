// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h1/forwarded_head.h"

#include <algorithm>

#include "sniffer/http1_text.h"

namespace soleroute::gateway::http::h1 {
namespace {

using sniffer::HeaderField;
using sniffer::http1::same_ignoring_case;

bool is_named(const HeaderField& field, std::string_view lowered) {
  return same_ignoring_case(field.name, lowered);
}

// Spoken to a proxy, not to the origin (RFC 9110 section 11.7, and the Proxy-Connection of older clients).
bool is_for_proxies(const HeaderField& field) {
  constexpr std::string_view kPrefix = "proxy-";
  return same_ignoring_case(field.name.substr(0, kPrefix.size()), kPrefix);
}

bool is_dropped(const HeaderField& field, bool drop_upgrade) {
  return is_for_proxies(field) || is_named(field, "http2-settings") || (drop_upgrade && is_named(field, "upgrade"));
}

// A Connection field without what asks for the upgrade that was dropped.
std::string without_upgrade(const HeaderField& field) {
  std::string kept;
  sniffer::http1::for_each_element(field.value, [&](std::string_view element) {
    if (same_ignoring_case(element, "upgrade") || same_ignoring_case(element, "http2-settings")) return;
    kept.append(kept.empty() ? "" : ", ").append(element);
  });
  if (kept.empty()) return {};
  return std::string(field.name) + ": " + kept + "\r\n";
}

}  // namespace

std::string injected_request(const sniffer::RequestHead& head, std::span<const policy::HeaderTransform> transforms,
                             std::span<const InjectedField> fields) {
  const bool drop_upgrade = head.upgrade == sniffer::Upgrade::kOther;
  std::size_t more = 64;
  for (const auto& field : fields) more += field.name.size() + field.value.view().size() + 4;
  std::string out;
  out.reserve(head.size + more);  // at once, so that no copy of a secret is left behind
  out.append(head.method)
      .append(" ")
      .append(sniffer::origin_form(head))
      .append(head.http11 ? " HTTP/1.1" : " HTTP/1.0");
  out += "\r\n";
  const bool has_host = std::ranges::any_of(head.fields, [](const auto& field) { return is_named(field, "host"); });
  if (!has_host || head.host_differs) out.append("Host: ").append(sniffer::target_authority(head)).append("\r\n");
  for (const auto& field : head.fields) {
    if (is_dropped(field, drop_upgrade) || (head.host_differs && is_named(field, "host"))) continue;
    if (judge_own_field(transforms, field.name, field.value) != OwnField::kKeep) continue;
    if (drop_upgrade && is_named(field, "connection")) {
      out += without_upgrade(field);
    } else {
      out += field.line;
    }
  }
  for (const auto& field : fields) out.append(field.name).append(": ").append(field.value.view()).append("\r\n");
  return out += "\r\n";
}

std::optional<std::string> forwarded_request(const sniffer::RequestHead& head) {
  const bool drop_upgrade = head.upgrade == sniffer::Upgrade::kOther;
  const bool absolute = head.form == sniffer::TargetForm::kAbsolute;
  const auto dropped = [drop_upgrade](const HeaderField& field) { return is_dropped(field, drop_upgrade); };
  if (!absolute && !drop_upgrade && std::ranges::none_of(head.fields, dropped)) return std::nullopt;
  return injected_request(head, {}, {});
}

bool sent_as_chunks(const sniffer::RequestHead& head, const policy::Decision& decision) {
  return head.framing == sniffer::BodyFraming::kLength && has_doubtful_body(decision, head.method);
}

std::optional<std::string> sent_request(const sniffer::RequestHead& head, const policy::Decision& decision,
                                        std::span<const InjectedField> fields) {
  const auto transforms = decision.transforms;
  if (sent_as_chunks(head, decision)) {
    sniffer::RequestHead chunked = head;
    std::erase_if(chunked.fields, [](const HeaderField& field) { return is_named(field, "content-length"); });
    chunked.fields.push_back({"Transfer-Encoding", "chunked", "Transfer-Encoding: chunked\r\n"});
    return injected_request(chunked, transforms, fields);
  }
  return transforms.empty() ? forwarded_request(head) : injected_request(head, transforms, fields);
}

std::optional<std::string> forwarded_response(const sniffer::ResponseHead& head, std::string_view received) {
  const auto is_alternative = [](const HeaderField& field) { return is_named(field, "alt-svc"); };
  const bool as_it_is = std::ranges::none_of(head.fields, is_alternative);
  if (as_it_is && head.plain) return *head.plain;
  if (as_it_is) return std::nullopt;
  if (head.plain) received = *head.plain;
  std::string out;
  out.reserve(head.plain ? head.plain->size() : head.size);
  out += received.substr(0, received.find('\n') + 1);
  for (const auto& field : head.fields) {
    if (!is_alternative(field)) out += field.line;
  }
  return out += "\r\n";
}

}  // namespace soleroute::gateway::http::h1
