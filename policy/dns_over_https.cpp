// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/dns_over_https.h"

#include <array>

namespace soleroute::policy {
namespace {

constexpr std::array<std::string_view, 10> kNames{
    "dns.google",      "cloudflare-dns.com", "mozilla.cloudflare-dns.com", "one.one.one.one",       "dns.quad9.net",
    "doh.opendns.com", "dns.nextdns.io",     "dns.adguard-dns.com",        "doh.cleanbrowsing.org", "dns64.dns.google"};

}  // namespace

std::span<const std::string_view> dns_over_https_names() {
  return kNames;
}

}  // namespace soleroute::policy
