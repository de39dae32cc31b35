// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/allow_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "base/ip_address.h"
#include "base/text.h"
#include "base/web_ports.h"
#include "gateway/audit/suggestion.h"
#include "policy/host_pattern.h"
#include "policy/host_service.h"
#include "policy/policy.h"
#include "policy/service_catalog.h"
#include "policy/source_text.h"

namespace soleroute::gateway::serve {
namespace {

using Item = base::Result<PolicyItem>;

constexpr std::string_view kItem = "  - ";

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// A name with a dot that begins with a letter is text to every YAML reader.
std::string yaml_host(std::string_view host) {
  return is_letter(host.front()) && host.contains('.') ? std::string(host) : fmt::format("\"{}\"", host);
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

PolicyItem item_of(std::string_view list, std::string flow) {
  auto lines = fmt::format("{}:\n{}{}\n", list, kItem, flow);
  return {std::string(list), std::move(lines), std::move(flow)};
}

Item host_item(std::string_view text) {
  SR_LET(pattern, policy::parse_host_pattern(text));
  return item_of("domains", yaml_host(pattern->text()));
}

Item port_item(std::string_view host, std::uint16_t port) {
  SR_LET(pattern, policy::parse_host_pattern(host));
  if (base::is_web_port(port)) return host_item(host);
  if (pattern->wildcard) return base::usage_error("a port needs one host, not a wildcard");
  return item_of("endpoints", fmt::format("{{host: {}, port: {}}}", yaml_host(pattern->text()), port));
}

PolicyItem address_item(const base::Endpoint& to) {
  const std::string range = fmt::format("{}/{}", to.address.to_string(), to.address.bits());
  return item_of("endpoints",
                 fmt::format("{{cidr: {}, port: {}}}", to.address.is_v6() ? "\"" + range + "\"" : range, to.port));
}

Item service_item(std::string_view name) {
  if (policy::find_service(name) != nullptr) return item_of("services", std::string(name));
  return base::usage_error(fmt::format("no such service{}; see 'gateway services' (a host without a dot: https://{}/)",
                                       policy::service_hint(name), base::shown(name)));
}

Item path_item(std::string_view scheme, std::string_view host, std::string_view path) {
  if (path.find_first_of("?#\"\\") != std::string_view::npos) {
    return base::usage_error("a URL here has no query, fragment or quotes");
  }
  SR_LET(pattern, policy::parse_host_pattern(host));
  const std::string name = yaml_host(pattern->text());
  const std::string_view kind = path.ends_with('/') ? "prefix" : "exact";
  auto lines = fmt::format("domains:\n{}host: {}\n    rules:\n      - schemes: [{}]\n        path: {{{}: \"{}\"}}\n",
                           kItem, name, scheme, kind, path);
  auto flow = fmt::format("{{host: {}, rules: [{{schemes: [{}], path: {{{}: \"{}\"}}}}]}}", name, scheme, kind, path);
  return PolicyItem{"domains", std::move(lines), std::move(flow)};
}

Item url_item(std::string_view scheme, std::string_view rest) {
  if (scheme != "http" && scheme != "https") return base::usage_error("only http:// and https:// URLs; use HOST:PORT");
  const auto slash = std::min(rest.find('/'), rest.size());
  const std::string_view authority = rest.substr(0, slash);
  const std::string_view path = rest.substr(slash);
  if (authority.contains('@')) return base::usage_error("a URL here has no user name");
  const auto colon = authority.rfind(':');
  if (colon == std::string_view::npos) {
    return path.size() > 1 ? path_item(scheme, authority, path) : host_item(authority);
  }
  const auto port = port_of(authority.substr(colon + 1));
  if (!port) return base::usage_error("the port must be a number from 1 to 65535");
  const std::string_view host = authority.substr(0, colon);
  if (path.size() <= 1) return port_item(host, *port);
  if (*port == (scheme == "https" ? base::kHttpsPort : base::kHttpPort)) return path_item(scheme, host, path);
  return base::usage_error("a path can be allowed on ports 80 and 443 only; use HOST:PORT");
}

Item parse_item(const std::string& text) {
  constexpr std::string_view kSchemeEnd = "://";
  if (text.empty()) return base::usage_error("is empty");
  if (const auto end = text.find(kSchemeEnd); end != std::string::npos) {
    return url_item(policy::lowered(std::string_view(text).substr(0, end)),
                    std::string_view(text).substr(end + kSchemeEnd.size()));
  }
  if (base::IpAddress::parse(text))
    return base::usage_error("an address needs a port: ADDR:PORT, or [ADDR]:PORT for IPv6");
  if (text.contains('/')) return base::usage_error("expected a host, HOST:PORT, a URL with http(s)://, or a service");
  if (const auto address = base::Endpoint::parse(text)) return address_item(*address);
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return text.contains('.') ? host_item(text) : service_item(text);
  const auto port = port_of(std::string_view(text).substr(colon + 1));
  if (!port) return base::usage_error("the port must be a number from 1 to 65535");
  return port_item(std::string_view(text).substr(0, colon), *port);
}

// "name:1:2: what" and a line with a caret: what.
std::string cause_of(const std::string& message) {
  constexpr int kFields = 3;
  std::string_view line = std::string_view(message).substr(0, message.find('\n'));
  for (int field = 0; field < kFields; ++field) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) break;
    line.remove_prefix(colon + 1);
  }
  return std::string(line.starts_with(' ') ? line.substr(1) : line);
}

Item checked_item(const std::string& text) {
  auto item = parse_item(text);
  if (!item) return item;
  const std::array<policy::PolicySource, 1> alone{{{"allow", item->lines}}};
  const auto compiled = policy::Policy::compile(alone);
  return compiled ? item : base::usage_error(cause_of(compiled.error().message));
}

// One heading with one item each.
std::vector<std::string> items_of(std::string_view lines) {
  std::vector<std::string> items;
  std::string heading;
  for (const std::string_view line : base::lines_of(lines)) {
    if (line.starts_with(kItem)) items.push_back(heading);
    if (!line.starts_with(' ')) heading = fmt::format("{}\n", line);
    if (line.starts_with(' ') && !items.empty()) items.back() += fmt::format("{}\n", line);
  }
  return items;
}

}  // namespace

base::Result<PolicyItem> parse_policy_item(const std::string& text) {
  auto item = checked_item(text);
  return item ? item : base::usage_error(fmt::format("{}: {}", base::shown(text), item.error().message));
}

base::Result<std::string> allow_layer(std::span<const std::string> items) {
  std::string layer;
  for (const std::string& text : items) {
    const auto item = checked_item(text);
    if (!item) return base::usage_error(fmt::format("--allow {}: {}", base::shown(text), item.error().message));
    layer = merged_lines(layer, item->lines);
  }
  return layer;
}

base::Result<std::string> host_port_layer(std::span<const std::string> ports) {
  std::string layer;
  for (const std::string& text : ports) {
    const auto port = port_of(text);
    if (!port) {
      return base::usage_error(fmt::format("--host-port: '{}' is not a port (1 to 65535)", base::shown(text)));
    }
    const std::string_view name = policy::kHostServiceName;
    // Of the web's ports one alone: a host would be both.
    const std::string item = base::is_web_port(*port)
                                 ? fmt::format("domains:\n{}host: {}\n    rules:\n      - schemes: [{}]\n", kItem, name,
                                               *port == base::kHttpsPort ? "https" : "http")
                                 : fmt::format("endpoints:\n{}{{host: {}, port: {}}}\n", kItem, name, *port);
    layer = merged_lines(layer, item);
  }
  return layer;
}

std::string merged_lines(std::string_view first, std::string_view second) {
  audit::PolicyLines lines(std::numeric_limits<std::size_t>::max());
  for (const std::string_view part : {first, second}) {
    for (const std::string& item : items_of(part)) lines.add(item);
  }
  return lines.text();
}

}  // namespace soleroute::gateway::serve
