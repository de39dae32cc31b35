// The proxy that the gateway itself must ask to reach the outside (`--upstream-proxy`), and what it dials without it.
// A plain value, immutable once the gateway serves; parsing opens nothing. place() and url() never show the password.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/result.h"

namespace soleroute::gateway::flow {

struct UpstreamProxy {
  enum class Kind : std::uint8_t { kHttp, kHttps, kSocks5h };

  Kind kind = Kind::kHttp;
  std::optional<base::HostName> name{};  // or an address
  base::IpAddress address{};
  std::uint16_t port = 0;
  std::string user{};
  std::string password{};
  std::vector<base::HostName> direct_suffixes{};  // each with all names below it
  std::vector<base::Cidr> direct_networks{};

  [[nodiscard]] std::string place() const;  // "proxy.corp.test:3128"
  [[nodiscard]] std::string url() const;    // "http://proxy.corp.test:3128"
  [[nodiscard]] bool has_login() const { return !user.empty() || !password.empty(); }
  // Dialled without the proxy: listed names, and those that mean the gateway's own machine.
  [[nodiscard]] bool is_direct(const base::HostName& host) const;
  // Likewise for addresses; loopback and link-local ones mean something here alone.
  [[nodiscard]] bool is_direct(const base::IpAddress& host) const;
  // ", directly: corp.test, 10.0.0.0/8"; empty if nothing is listed.
  [[nodiscard]] std::string exceptions() const;
};

// "http://[user:pass@]host[:port]", https and socks5h likewise; without a scheme it is http. User and password are
// percent-decoded. The error does not show the text: it may hold a password.
[[nodiscard]] base::Result<UpstreamProxy> parse_upstream_proxy(std::string_view text);

// One value of --no-upstream-proxy: a name with all below it ("corp.test", ".corp.test" and "*.corp.test" mean the
// same), an address, or a range.
[[nodiscard]] base::Status add_direct(UpstreamProxy& proxy, std::string_view text);

// The value of NO_PROXY.
struct NoProxy {
  bool everything = false;             // "*"
  std::vector<std::string> skipped{};  // entries of another form
};
// Adds what add_direct() takes, with a port left out, and tells of the rest.
[[nodiscard]] NoProxy add_no_proxy(UpstreamProxy& proxy, std::string_view list);

// What a password is read from: one line. Nothing that could end a line may be in it.
[[nodiscard]] base::Status set_password(UpstreamProxy& proxy, std::string text);

}  // namespace soleroute::gateway::flow
