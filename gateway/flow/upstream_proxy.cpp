// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/upstream_proxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include "base/ascii.h"
#include "base/text.h"
#include "policy/address_class.h"

namespace soleroute::gateway::flow {
namespace {

using Kind = UpstreamProxy::Kind;

struct Scheme {
  std::string_view name;
  Kind kind;
  std::uint16_t port;  // where the URL names none
};
// socks5 too is asked by name: what the proxy resolves cannot differ from what the policy decided.
constexpr std::array<Scheme, 4> kSchemes{Scheme{"http", Kind::kHttp, 80}, Scheme{"https", Kind::kHttps, 443},
                                         Scheme{"socks5h", Kind::kSocks5h, 1080},
                                         Scheme{"socks5", Kind::kSocks5h, 1080}};
constexpr std::size_t kMaxLogin = 255;  // RFC 1929 section 2
constexpr std::size_t kMaxExceptions = 1024;
constexpr std::string_view kForm = "use http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT";

std::unexpected<base::Error> wrong(std::string_view what) {
  return base::usage_error(fmt::format("{}: {}", what, kForm));
}

std::string_view scheme_name(Kind kind) {
  const auto* const found = std::ranges::find(kSchemes, kind, &Scheme::kind);
  return found->name;
}

base::Result<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? base::hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? base::hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return base::usage_error("a '%' in the user name or password must be written %25");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

bool fits_login(std::string_view text) {
  return text.size() <= kMaxLogin &&
         std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

base::Status read_login(std::string_view text, UpstreamProxy& proxy) {
  const auto colon = text.find(':');
  SR_LET(user, percent_decoded(text.substr(0, colon)));
  SR_LET(password, percent_decoded(colon == std::string_view::npos ? "" : text.substr(colon + 1)));
  if (!fits_login(*user) || !fits_login(*password) || user->contains(':')) {
    return base::usage_error("the user name or password is too long or has a character that cannot be sent");
  }
  proxy.user = std::move(*user);
  proxy.password = std::move(*password);
  return {};
}

base::Status read_port(std::string_view text, UpstreamProxy& proxy) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), proxy.port);
  if (error != std::errc{} || end != text.data() + text.size() || proxy.port == 0) {
    return wrong("its port is not a number from 1 to 65535");
  }
  return {};
}

base::Status read_host(std::string_view text, UpstreamProxy& proxy) {
  const bool bracketed = text.size() > 2 && text.front() == '[' && text.back() == ']';
  const auto address = base::IpAddress::parse(bracketed ? text.substr(1, text.size() - 2) : text);
  if (address && address->is_v6() == bracketed) {
    proxy.address = *address;
    if (proxy.kind == Kind::kHttps) return base::usage_error("an https:// proxy needs a name: its certificate has one");
    return {};
  }
  auto name = base::HostName::parse(text);
  if (!name) return wrong("its host is not a name or an address");
  proxy.name = std::move(*name);
  return {};
}

// "host", "host:port" or "[v6]:port".
base::Status read_authority(std::string_view text, UpstreamProxy& proxy) {
  const auto bracket = text.rfind(']');
  const auto colon = text.rfind(':');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (has_port) SR_TRY(read_port(text.substr(colon + 1), proxy));
  return read_host(text.substr(0, has_port ? colon : text.size()), proxy);
}

// "*.corp.test", ".corp.test" and "corp.test" are one.
std::string_view suffix_in(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  while (text.starts_with('.')) text.remove_prefix(1);
  return text;
}

std::string_view without_port(std::string_view text) {
  const auto colon = text.find(':');
  if (text.starts_with('[') || colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) {
    return text;
  }
  return text.substr(0, colon);
}

}  // namespace

std::string UpstreamProxy::place() const {
  return name ? fmt::format("{}:{}", name->text(), port) : base::Endpoint{address, port}.to_string();
}

std::string UpstreamProxy::url() const {
  return fmt::format("{}://{}", scheme_name(kind), place());
}

bool UpstreamProxy::is_direct(const base::HostName& host) const {
  constexpr std::array<std::string_view, 2> kOwn{"localhost", "gateway.internal"};
  const auto is_in = [&host](std::string_view suffix) { return host.text() == suffix || host.is_below(suffix); };
  return std::ranges::any_of(kOwn, is_in) ||
         std::ranges::any_of(direct_suffixes, [&](const auto& suffix) { return is_in(suffix.text()); });
}

bool UpstreamProxy::is_direct(const base::IpAddress& host) const {
  const auto kind_of = policy::address_class(host);
  if (kind_of == "loopback" || kind_of.contains("link-local") || kind_of.contains("metadata")) return true;
  return std::ranges::any_of(direct_networks, [&](const auto& network) { return network.contains(host); });
}

std::string UpstreamProxy::exceptions() const {
  std::string out;
  const auto add = [&out](const std::string& text) { out.append(out.empty() ? ", directly: " : ", ").append(text); };
  for (const auto& suffix : direct_suffixes) add(suffix.text());
  for (const auto& network : direct_networks) add(network.to_string());
  return out;
}

base::Result<UpstreamProxy> parse_upstream_proxy(std::string_view text) {
  UpstreamProxy proxy;
  std::string scheme = "http";
  if (const auto end = text.find("://"); end != std::string_view::npos) {
    scheme = text.substr(0, end);
    std::ranges::transform(scheme, scheme.begin(), base::lower);
    text.remove_prefix(end + 3);
  }
  const auto* const known = std::ranges::find(kSchemes, scheme, &Scheme::name);
  if (known == kSchemes.end()) return wrong("unknown kind of proxy");
  proxy.kind = known->kind;
  proxy.port = known->port;
  if (const auto at = text.rfind('@'); at != std::string_view::npos) {
    SR_TRY(read_login(text.substr(0, at), proxy));
    text.remove_prefix(at + 1);
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  SR_TRY(read_authority(text, proxy));
  return proxy;
}

base::Status add_direct(UpstreamProxy& proxy, std::string_view text) {
  if (proxy.direct_suffixes.size() + proxy.direct_networks.size() == kMaxExceptions) {
    return base::usage_error(fmt::format("more than {} exceptions", kMaxExceptions));
  }
  if (const auto network = base::Cidr::parse(text)) {
    proxy.direct_networks.push_back(*network);
    return {};
  }
  auto suffix = base::HostName::parse(suffix_in(text));
  if (!suffix) {
    return base::usage_error(fmt::format("'{}' is not a name suffix, an address or a range", base::shown(text)));
  }
  proxy.direct_suffixes.push_back(std::move(*suffix));
  return {};
}

NoProxy add_no_proxy(UpstreamProxy& proxy, std::string_view list) {
  NoProxy told;
  while (!list.empty()) {
    const auto end = std::min(list.find_first_of(", \t"), list.size());
    const auto entry = list.substr(0, end);
    list.remove_prefix(std::min(list.size(), end + 1));
    if (entry.empty()) continue;
    if (entry == "*") {
      told.everything = true;
    } else if (!add_direct(proxy, without_port(entry))) {
      told.skipped.emplace_back(entry);
    }
  }
  return told;
}

base::Status set_password(UpstreamProxy& proxy, std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty()) return base::usage_error("the file is empty");
  if (!fits_login(text)) return base::usage_error("it must have one line of at most 255 bytes");
  proxy.password = std::move(text);
  return {};
}

}  // namespace soleroute::gateway::flow
