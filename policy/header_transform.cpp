// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/header_transform.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/ascii.h"
#include "base/text.h"
#include "policy/source_text.h"

namespace soleroute::policy {
namespace {

char folded(char c) {
  return c == '_' ? '-' : base::lower(c);
}

std::string form_to_yaml(const HeaderTransform& transform) {
  switch (transform.form) {
    case HeaderForm::kBearer:
      return "{type: bearer}";
    case HeaderForm::kBasic:
      return fmt::format("{{type: basic, username: {}}}", yaml_quoted(transform.username));
    case HeaderForm::kRaw:
      break;
  }
  return "{type: raw}";
}

}  // namespace

bool is_secret_id(std::string_view text) {
  const auto fits = [](char c) { return base::is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; };
  if (text.empty() || text.size() > kMaxSecretIdBytes || text == "." || text == "..") return false;
  return std::ranges::all_of(text, fits);
}

bool same_header(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, folded, folded);
}

std::string describe(const HeaderTransform& transform) {
  const std::string secret = fmt::format("<secret {}>", transform.secret);
  switch (transform.form) {
    case HeaderForm::kBearer:
      return fmt::format("{}: Bearer {}", transform.name, secret);
    case HeaderForm::kBasic:
      return fmt::format("{}: Basic <{}:{}>", transform.name, base::shown(transform.username), secret);
    case HeaderForm::kRaw:
      break;
  }
  return fmt::format("{}: {}", transform.name, secret);
}

std::string to_yaml(std::span<const HeaderTransform> transforms) {
  std::vector<std::string> headers;
  headers.reserve(transforms.size());
  for (const auto& each : transforms) {
    headers.push_back(fmt::format("{}: {{secret: {}, transform: {}}}", yaml_quoted(each.name), yaml_quoted(each.secret),
                                  form_to_yaml(each)));
  }
  return fmt::format("transform: {{request: {{headers: {{{}}}, on_existing_header: {}}}}}", fmt::join(headers, ", "),
                     transforms.front().replace ? "replace" : "fail");
}

}  // namespace soleroute::policy
