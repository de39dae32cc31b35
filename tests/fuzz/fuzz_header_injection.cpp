// Any request head, with headers that the policy sets: what goes on reads as the same request, holds each of them once
// and with the gateway's value, and nothing that a server could take for one.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "gateway/http/h1/forwarded_head.h"
#include "sniffer/http1_head.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::require;
using gateway::http::InjectedField;
using gateway::http::OwnField;
using policy::HeaderTransform;

InjectedField field(std::string_view name, std::string_view value) {
  gateway::secrets::Secret secret(value.size());
  secret.append(value);
  return {name, std::move(secret)};
}

bool is_set(const sniffer::HeaderField& field, std::string_view name) {
  return policy::same_header(field.name, name);
}

void check(const sniffer::RequestHead& head, bool replace) {
  const std::vector<HeaderTransform> transforms{
      {.name = "Authorization", .form = policy::HeaderForm::kBearer, .username = "", .secret = "a", .replace = replace},
      {.name = "X-Api-Key", .form = policy::HeaderForm::kRaw, .username = "", .secret = "k", .replace = replace}};
  if (gateway::http::refuses_own_fields(transforms, head.fields)) return;
  std::vector<InjectedField> fields;
  fields.push_back(field("Authorization", "Bearer REAL"));
  fields.push_back(field("X-Api-Key", "KEY"));
  const std::string out = gateway::http::h1::injected_request(head, transforms, fields);
  const bool fits = head.fields.size() + 3 <= sniffer::kMaxHeaderFields && out.size() <= sniffer::kMaxHeadBytes;
  const auto parsed = sniffer::parse_request_head(base::as_bytes(out));
  require(parsed.complete() || !fits);
  if (!parsed.complete()) return;
  const auto& again = parsed.value();
  require(again.size == out.size());
  require(again.method == head.method && again.host == head.host && again.framing == head.framing &&
          again.content_length == head.content_length);
  for (const auto& wanted : fields) {
    const auto same = [&](const auto& each) { return is_set(each, wanted.name); };
    require(std::ranges::count_if(again.fields, same) == 1);
    require(std::ranges::find_if(again.fields, same)->value == wanted.value.view());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = sniffer::parse_request_head(std::as_bytes(std::span(data, size)));
  if (!parsed.complete() || parsed.value().form == sniffer::TargetForm::kAuthority) return 0;
  check(parsed.value(), false);
  check(parsed.value(), true);
  return 0;
}
