// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/transform_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/text.h"

namespace soleroute::policy {
namespace {

using base::Status;

// What frames a message, routes it or belongs to the connection is the gateway's to set, and no secret's.
constexpr std::array<std::string_view, 14> kNeverSet{
    "host",    "content-length", "transfer-encoding", "connection",     "te",
    "trailer", "upgrade",        "keep-alive",        "http2-settings", "expect",
    "via",     "forwarded",      "content-encoding",  "content-type"};

bool is_secret_name_character(char c) {
  return base::is_alphanumeric(c) || c == '-' || c == '_' || c == '.' || c == '~';
}

bool is_settable(std::string_view name) {
  constexpr std::string_view kForProxies = "proxy-";
  if (same_header(name.substr(0, kForProxies.size()), kForProxies)) return false;
  return std::ranges::none_of(kNeverSet, [&](std::string_view each) { return same_header(each, name); });
}

}  // namespace

Status TransformReader::secret(const YamlNode& node, std::string& out) const {
  SR_LET(text, yaml_.text(node, "a secret's ID"));
  if (!is_secret_id(*text)) {
    return yaml_.error(node, fmt::format("a secret's ID is the name of its file: at most {} of A-Z, a-z, 0-9, '.', '_' "
                                         "and '-', not '.' or '..'",
                                         kMaxSecretIdBytes));
  }
  out = *text;
  return {};
}

Status TransformReader::name(const YamlNode& node, const std::vector<HeaderTransform>& others, std::string& out) const {
  const bool well_formed = !node.text.empty() && node.text.size() <= 64 &&
                           std::ranges::all_of(node.text, is_secret_name_character) && node.text.front() != '-';
  if (!well_formed) {
    return yaml_.error(node, fmt::format("'{}' is not a header name", base::shown(node.text.substr(0, 80))));
  }
  if (!is_settable(node.text)) {
    return yaml_.error(node,
                       fmt::format("a policy cannot set '{}', which frames the message or the connection", node.text));
  }
  const auto same = [&](const HeaderTransform& other) { return same_header(other.name, node.text); };
  if (std::ranges::any_of(others, same)) {
    return yaml_.error(node, fmt::format("header '{}' is set twice; case does not matter, and '_' is '-'", node.text));
  }
  out = node.text;
  return {};
}

Status TransformReader::username(const YamlNode& node, HeaderTransform& out) const {
  constexpr std::size_t kMaxUsername = 256;
  SR_LET(text, yaml_.text(node, "username"));
  const auto is_bad = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == ':'; };
  if (text->empty() || text->size() > kMaxUsername || std::ranges::any_of(*text, is_bad)) {
    return yaml_.error(node, "a username must have 1 to 256 characters, without ':' and control characters (RFC 7617)");
  }
  out.username = *text;
  return {};
}

Status TransformReader::form(const YamlNode& node, HeaderTransform& out) const {
  bool typed = false;
  const auto type = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "type", {"bearer", "basic", "raw"}));
    typed = true;
    out.form = *chosen == "bearer" ? HeaderForm::kBearer : *chosen == "basic" ? HeaderForm::kBasic : HeaderForm::kRaw;
    return {};
  };
  const std::array<YamlReader::Key, 2> known{{
      {"type", type},
      {"username", [&](const YamlNode& value) { return username(value, out); }},
  }};
  SR_TRY(yaml_.keys(node, "transform", known));
  if (!typed) return yaml_.error(node, "a transform needs 'type': bearer, basic or raw");
  const bool basic = out.form == HeaderForm::kBasic;
  if (basic && out.username.empty()) return yaml_.error(node, "'type: basic' needs 'username'");
  if (!basic && !out.username.empty()) return yaml_.error(node, "use 'username' with 'type: basic' only");
  return {};
}

Status TransformReader::header(const YamlNode& node, HeaderTransform& out) const {
  bool formed = false;
  const std::array<YamlReader::Key, 2> known{{
      {"secret", [&](const YamlNode& value) { return secret(value, out.secret); }},
      {"transform",
       [&](const YamlNode& value) {
         formed = true;
         return form(value, out);
       }},
  }};
  SR_TRY(yaml_.keys(node, "a header to set", known));
  if (out.secret.empty()) return yaml_.error(node, "a header to set needs 'secret': the ID of a secret");
  if (!formed) return yaml_.error(node, "a header to set needs 'transform': {type: bearer}, basic or raw");
  return {};
}

Status TransformReader::headers(const YamlNode& node, std::vector<HeaderTransform>& out) const {
  if (!node.is_mapping()) return yaml_.wrong_type(node, "headers", "a mapping of header names");
  if (node.children.empty()) return yaml_.error(node, "headers must not be empty");
  if (node.children.size() / 2 > kMaxTransforms) {
    return yaml_.error(node, fmt::format("more than {} headers to set", kMaxTransforms));
  }
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    HeaderTransform each;
    SR_TRY(name(node.children[i], out, each.name));
    SR_TRY(header(node.children[i + 1], each));
    out.push_back(std::move(each));
  }
  return {};
}

Status TransformReader::request(const YamlNode& node, std::vector<HeaderTransform>& out) const {
  bool replace = false;
  const auto on_existing = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "on_existing_header", {"fail", "replace"}));
    replace = *chosen == "replace";
    return {};
  };
  const std::array<YamlReader::Key, 2> known{{
      {"headers", [&](const YamlNode& value) { return headers(value, out); }},
      {"on_existing_header", on_existing},
  }};
  SR_TRY(yaml_.keys(node, "transform.request", known));
  if (out.empty()) return yaml_.error(node, "transform.request needs 'headers'");
  for (auto& each : out) each.replace = replace;
  return {};
}

Status TransformReader::transform(const YamlNode& node, std::vector<HeaderTransform>& out) const {
  const std::array<YamlReader::Key, 1> known{{{"request", [&](const YamlNode& value) { return request(value, out); }}}};
  SR_TRY(yaml_.keys(node, "transform", known));
  if (out.empty()) return yaml_.error(node, "a transform needs 'request'");
  return {};
}

}  // namespace soleroute::policy
