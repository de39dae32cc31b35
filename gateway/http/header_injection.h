// What becomes of a request's own header fields where the policy sets headers, and the fields that are set instead.
// Pure functions, save that reading secrets reads their files.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gateway/http2/body.h"
#include "gateway/http2/field.h"
#include "gateway/secrets/secret_store.h"
#include "policy/decision.h"
#include "policy/header_transform.h"

namespace soleroute::gateway::http {

enum class OwnField : std::uint8_t { kKeep, kDrop, kRefuse };

// One field of the request, which the transforms of its decision concern if its name is theirs in any case, and with
// underscores for hyphens. A Connection or Trailer field that names such a header would have the next hop drop it, or
// take another, and is refused.
[[nodiscard]] OwnField judge_own_field(std::span<const policy::HeaderTransform> transforms, std::string_view name,
                                       std::string_view value);

// For anything with `name` and `value`: does any field stand in the way? The refusal is kHeaderNotPermitted.
template <class Fields>
[[nodiscard]] bool refuses_own_fields(std::span<const policy::HeaderTransform> transforms, const Fields& fields) {
  if (transforms.empty()) return false;
  for (const auto& field : fields) {
    if (judge_own_field(transforms, field.name, field.value) == OwnField::kRefuse) return true;
  }
  return false;
}

// There are origins that read no body on these methods: where a length frames it, they take it for the next request,
// which no rule has admitted. What frames it as chunks begins with a line that is no request to anybody.
[[nodiscard]] inline bool has_doubtful_body(const policy::Decision& decision, std::string_view method) {
  return (decision.by_method || decision.by_path) && (method == "GET" || method == "HEAD" || method == "OPTIONS");
}

// A field to send to the origin, and to nobody and nothing else.
struct InjectedField {
  std::string_view name;  // as the policy writes it; HTTP/2 wants it in lower case
  secrets::Secret value;
};

// Reads the secrets anew. The error is for kSecretUnavailable: it names the secret's ID and never its value.
[[nodiscard]] base::Result<std::vector<InjectedField>> injected_fields(
    std::span<const policy::HeaderTransform> transforms, const secrets::SecretStore* store);

// Why an allowed request is answered by the gateway after all, and with which status.
struct InjectionFault {
  policy::Reason reason = policy::Reason::kSecretUnavailable;
  int status = 502;
  std::string detail;  // for the log and the page; no value, of nobody
};

// What `decision` sets on a request with these fields; nothing for most.
template <class Fields>
[[nodiscard]] std::expected<std::vector<InjectedField>, InjectionFault> prepare_injection(
    const policy::Decision& decision, const Fields& own, const secrets::SecretStore* store) {
  if (refuses_own_fields(decision.transforms, own)) {
    return std::unexpected(InjectionFault{policy::Reason::kHeaderNotPermitted, 403, {}});
  }
  auto fields = injected_fields(decision.transforms, store);
  if (fields) return std::move(*fields);
  return std::unexpected(InjectionFault{policy::Reason::kSecretUnavailable, 502, fields.error().message});
}

// Over HTTP/2: the request's own fields less those that are replaced, then those that are set, which no compression
// table keeps; trailers of such a name are left out of `body`, also those to come. HTTP/1 has injected_request()
// (h1/forwarded_head.h), and BodyTracker::refuse_trailers() for what it cannot leave out.
void inject(std::span<const policy::HeaderTransform> transforms, std::span<const InjectedField> fields,
            http2::Fields& request, http2::Body& body);

}  // namespace soleroute::gateway::http
