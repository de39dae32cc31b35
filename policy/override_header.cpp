// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/override_header.h"

#include <algorithm>
#include <array>

#include "policy/header_transform.h"

namespace soleroute::policy {
namespace {

// Rack, Symfony, Laravel, Express, ASP.NET Core and Google's APIs; OData and SharePoint; IBM's; forward-auth of
// proxies.
constexpr std::array<std::string_view, 5> kMethodHeaders{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
                                                         "X-Original-Method", "X-Forwarded-Method"};

// Symfony, Zend, Yii and IIS; forward-auth of nginx, Traefik and Caddy; WSGI and Spring; Envoy.
constexpr std::array<std::string_view, 9> kPathHeaders{"X-Original-URL",  "X-Rewrite-URL",         "X-Original-URI",
                                                       "X-Forwarded-Uri", "X-Forwarded-Path",      "X-Forwarded-Prefix",
                                                       "X-Script-Name",   "X-Envoy-Original-Path", "X-Override-URL"};

constexpr std::string_view kDestination = "Destination";  // RFC 4918 section 10.3

}  // namespace

void OverrideHeaders::see(std::string_view name, std::string_view request_method) {
  const auto same = [name](std::string_view each) { return same_header(each, name); };
  if (request_method == "COPY" || request_method == "MOVE") {
    if (same(kDestination)) path = kDestination;
  }
  constexpr std::size_t kShortest = 13;
  if (name.size() < kShortest || (name.front() != 'x' && name.front() != 'X')) return;
  const auto* const by_method = std::ranges::find_if(kMethodHeaders, same);
  if (by_method != kMethodHeaders.end()) method = *by_method;
  const auto* const by_path = std::ranges::find_if(kPathHeaders, same);
  if (by_path != kPathHeaders.end()) path = *by_path;
}

}  // namespace soleroute::policy
