// The servers that allowed names are asked of, and which of them answer for which names.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::dns {

inline constexpr std::uint16_t kDnsPort = 53;
inline constexpr std::uint16_t kDnsOverTlsPort = 853;

struct Upstream {
  Upstream() = default;
  Upstream(base::Endpoint at) : server(at) {}  // NOLINT(google-explicit-constructor): an endpoint is an upstream

  base::Endpoint server{};
  std::optional<base::HostName> suffix{};    // asked for this name and those below it alone; none: for all others
  bool tls = false;                          // over TLS alone (RFC 7858)
  std::optional<base::HostName> tls_name{};  // that its certificate must have; none: its address

  // "ADDR[:PORT]", "SUFFIX=ADDR[:PORT]", "tls://ADDR[#NAME][:PORT]".
  [[nodiscard]] static base::Result<Upstream> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  bool operator==(const Upstream&) const = default;
};

// The suffix among those of `upstreams` that is the longest for the name; null: the name is for those without one.
[[nodiscard]] const base::HostName* suffix_for(const std::vector<Upstream>& upstreams, const base::HostName& name);
// May an alias of `name` be followed to `target`? Not into a suffix's servers from elsewhere, and from a public name to
// none that only this network has ("db.internal"): the owner of a public name would look names up inside.
[[nodiscard]] bool may_follow(const std::vector<Upstream>& upstreams, const base::HostName& name,
                              const base::HostName& target);
// Are there servers for names outside all suffixes?
[[nodiscard]] bool has_general(const std::vector<Upstream>& upstreams);

}  // namespace soleroute::gateway::dns
