// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/header_injection.h"

#include <algorithm>
#include <utility>

#include "sniffer/http1_text.h"

namespace soleroute::gateway::http {
namespace {

using policy::HeaderTransform;

bool names_one(std::span<const HeaderTransform> transforms, std::string_view list) {
  bool found = false;
  sniffer::http1::for_each_element(list, [&](std::string_view option) {
    const auto same = [&](const HeaderTransform& each) { return policy::same_header(each.name, option); };
    found = found || std::ranges::any_of(transforms, same);
  });
  return found;
}

}  // namespace

OwnField judge_own_field(std::span<const HeaderTransform> transforms, std::string_view name, std::string_view value) {
  if (transforms.empty()) return OwnField::kKeep;
  if (policy::same_header(name, "connection") || policy::same_header(name, "trailer")) {
    return names_one(transforms, value) ? OwnField::kRefuse : OwnField::kKeep;
  }
  const auto same = [&](const HeaderTransform& each) { return policy::same_header(each.name, name); };
  const auto found = std::ranges::find_if(transforms, same);
  if (found == transforms.end()) return OwnField::kKeep;
  return found->replace ? OwnField::kDrop : OwnField::kRefuse;
}

void inject(std::span<const HeaderTransform> transforms, std::span<const InjectedField> fields, http2::Fields& request,
            http2::Body& body) {
  if (transforms.empty()) return;
  std::erase_if(request, [&](const http2::Field& field) {
    return judge_own_field(transforms, field.name, field.value) != OwnField::kKeep;
  });
  for (const auto& field : fields) {
    std::string name(field.name);
    std::ranges::transform(name, name.begin(), sniffer::http1::lower);
    request.push_back({.name = std::move(name), .value = std::string(field.value.view()), .sensitive = true});
  }
  // A body may outlive the policy that the transforms are part of.
  body.leave_out([kept = std::vector(transforms.begin(), transforms.end())](const http2::Field& field) {
    return judge_own_field(kept, field.name, field.value) != OwnField::kKeep;
  });
}

base::Result<std::vector<InjectedField>> injected_fields(std::span<const HeaderTransform> transforms,
                                                         const secrets::SecretStore* store) {
  std::vector<InjectedField> fields;
  fields.reserve(transforms.size());
  for (const auto& transform : transforms) {
    if (store == nullptr)
      return base::usage_error("secret " + transform.secret + ": no secrets directory (--secrets-dir)");
    SR_LET(secret, store->read(transform.secret));
    SR_LET(value, secrets::header_value(transform, *secret));
    fields.push_back({transform.name, std::move(*value)});
  }
  return fields;
}

}  // namespace soleroute::gateway::http
