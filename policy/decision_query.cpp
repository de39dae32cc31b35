// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/decision_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "base/web_ports.h"
#include "policy/host_pattern.h"
#include "policy/source_text.h"

namespace soleroute::policy {
namespace {

struct UrlScheme {
  std::string_view name;
  Scheme scheme;
  Transport transport;
  std::uint16_t port;  // 0: must be written
};
constexpr std::array kSchemes{
    UrlScheme{"http", Scheme::kHttp, Transport::kTcp, base::kHttpPort},
    UrlScheme{"https", Scheme::kHttps, Transport::kTcp, base::kHttpsPort},
    UrlScheme{"ws", Scheme::kHttp, Transport::kTcp, base::kHttpPort},
    UrlScheme{"wss", Scheme::kHttps, Transport::kTcp, base::kHttpsPort},
    UrlScheme{"tcp", Scheme::kNone, Transport::kTcp, 0},
    UrlScheme{"udp", Scheme::kNone, Transport::kUdp, 0},
};

const UrlScheme* find_scheme(std::string_view name) {
  const auto found = std::ranges::find(kSchemes, lowered(name), &UrlScheme::name);
  return found == kSchemes.end() ? nullptr : &*found;
}

std::optional<std::uint16_t> port_in(std::string_view digits) {
  std::uint16_t port = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  const bool sound = fault == std::errc{} && end == digits.data() + digits.size() && port != 0;
  return sound ? std::optional(port) : std::nullopt;
}

// Clients disagree about these: some end the host at a backslash, some strip controls and blanks.
bool is_doubtful(char c) {
  return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '\\';
}

// Names of a policy's spelling: U-labels become A-labels, as clients do it.
std::optional<base::HostName> to_name(std::string_view host) {
  const bool ascii = std::ranges::all_of(host, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii) {
    auto name = base::HostName::parse(host);
    return name ? std::optional(std::move(*name)) : std::nullopt;
  }
  auto pattern = parse_host_pattern(host);
  if (!pattern || pattern->wildcard) return std::nullopt;
  return std::move(pattern->name);
}

}  // namespace

base::Status check_url(std::string_view url) {
  const auto wrong = [&](std::string_view what) {
    return base::usage_error(fmt::format("'{}' {}", base::shown(url.substr(0, 200)), what));
  };
  const auto separator = url.find("://");
  if (separator == std::string_view::npos) return wrong("is not a URL");
  const auto* scheme = find_scheme(url.substr(0, separator));
  if (scheme == nullptr) return wrong("has an unknown scheme (known: http, https, ws, wss, tcp, udp)");
  if (std::ranges::any_of(url, is_doubtful)) return wrong("has spaces, control characters or backslashes");
  auto authority = url.substr(separator + 3);
  authority = authority.substr(0, std::min(authority.find_first_of("/?#"), authority.size()));
  authority.remove_prefix(std::min(authority.rfind('@') + 1, authority.size()));
  const auto bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (authority.empty() || bracket == std::string_view::npos) return wrong("names no host");
  const auto colon = authority.find(':', bracket);
  const bool has_port = colon != std::string_view::npos && colon + 1 < authority.size();
  if (has_port && !port_in(authority.substr(colon + 1))) return wrong("has no valid port (1 to 65535)");
  if (!has_port && scheme->port == 0) return wrong("needs a port: HOST:PORT");
  return {};
}

PreparedQuery::PreparedQuery(DecisionQuery question) : question_(std::move(question)), host_(question_.host) {
  facts_.port = question_.port;
  facts_.transport = question_.protocol;
  if (question_.url.empty()) {
    prepare_destination();
  } else {
    prepare_url();
  }
}

void PreparedQuery::refuse(Reason reason) {
  if (!refused_) refused_ = reason;
}

std::string_view PreparedQuery::path() const {
  return std::string_view(target_).substr(0, target_.find('?'));
}

bool PreparedQuery::split_authority(std::string_view authority) {
  const auto at = authority.rfind('@');  // user information is not part of the host
  if (at != std::string_view::npos) authority.remove_prefix(at + 1);
  const auto bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const auto colon = authority.find(':', bracket);
  host_ = authority.substr(0, colon);
  if (colon == std::string_view::npos || colon + 1 == authority.size()) return true;
  const auto port = port_in(authority.substr(colon + 1));
  facts_.port = port.value_or(0);
  return port.has_value();
}

void PreparedQuery::prepare_url() {
  const std::string_view url = question_.url;
  const auto separator = url.find("://");
  const auto* scheme = separator == std::string_view::npos ? nullptr : find_scheme(url.substr(0, separator));
  if (scheme == nullptr || std::ranges::any_of(url, is_doubtful)) return refuse(Reason::kMalformed);
  const auto rest = url.substr(separator + 3);
  const auto authority_end = std::min(rest.find_first_of("/?#"), rest.size());
  facts_.port = scheme->port;
  facts_.transport = scheme->transport;
  facts_.scheme = scheme->scheme;
  if (!split_authority(rest.substr(0, authority_end)) || facts_.port == 0) return refuse(Reason::kMalformed);
  const auto target = rest.substr(authority_end).substr(0, rest.substr(authority_end).find('#'));
  if (scheme->scheme != Scheme::kNone) target_ = (target.starts_with('/') ? "" : "/") + std::string(target);
  prepare_destination();
}

void PreparedQuery::prepare_destination() {
  const bool bracketed = host_.starts_with('[') && host_.ends_with(']');
  const auto bare = bracketed ? std::string_view(host_).substr(1, host_.size() - 2) : std::string_view(host_);
  const auto address = base::IpAddress::parse(bare);
  // In a URL an IPv6 address stands in brackets, and nothing else does (RFC 3986 section 3.2.2).
  const bool well_placed = address && (address->is_v6() ? bracketed || question_.url.empty() : !bracketed);
  if (well_placed) {
    facts_.phase = Phase::kPacket;
    facts_.original_destination = base::Endpoint{*address, facts_.port};
    host_ = address->to_string();
    return;
  }
  facts_.phase = Phase::kConnect;
  auto name = to_name(host_);
  if (!name) return refuse(Reason::kInvalidName);
  host_ = name->text();
  facts_.host = std::move(*name);
}

Decision PreparedQuery::ask(const Policy& policy) {
  if (refused_) return {.action = Action::kDeny, .reason = *refused_};
  if (facts_.phase == Phase::kPacket) return policy.decide_itself(facts_);
  const bool http = facts_.scheme == Scheme::kHttp;
  const bool tls = facts_.scheme == Scheme::kHttps || (facts_.port == base::kHttpsPort && !http);
  facts_.phase = http ? Phase::kHttp : tls ? Phase::kTls : Phase::kConnect;
  if (tls) facts_.sni = facts_.host;
  if (!target_.empty()) {
    facts_.method = question_.method;
    facts_.target = target_;
    for (const auto& header : question_.headers) facts_.overrides.see(header, question_.method);
  }
  auto decision = policy.decide_itself(facts_);
  const bool inspected = decision.allowed() && decision.treatment == Treatment::kInspect;
  if (facts_.scheme != Scheme::kHttps || !inspected) return decision;
  facts_.phase = Phase::kHttp;
  return policy.decide_itself(facts_);
}

}  // namespace soleroute::policy
