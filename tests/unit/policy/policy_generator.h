// Generated policies and flows, and flows that become known step by step. Test code only.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/policy/policy_support.h"

namespace soleroute::policy::testing {

// Small alphabets, so that generated flows meet generated entries often.
class Generator {
 public:
  explicit Generator(std::uint32_t seed) : random_(seed) {}

  std::string policy() {
    std::string out = "services: [" + std::string(chance(4) ? service() : "") + "]\ndomains:\n";
    for (int i = below(6); i > 0; --i) out += domain();
    out += "endpoints:\n";
    for (int i = below(3); i > 0; --i) out += endpoint();
    return chance(2) ? out : out + denials();
  }
  // `deny:` with a few entries.
  std::string denials() {
    std::string out = "deny:\n";
    for (int i = below(4); i > 0; --i) out += denial();
    return out;
  }

  std::string_view host() {
    return pick({"a.test", "b.a.test", "c.b.a.test", "x.test", "y.x.test", "github.com", "api.github.com"});
  }
  std::string_view method() { return pick({"GET", "POST", "PUT", "get"}); }
  std::string_view target() {
    return pick({"/", "/v1/", "/v1/a", "/v1/../a", "/v1/%2e%2e/a", "/V1/a?q=1", "/v1/a?q=1", "/o/r/git-upload-pack",
                 "/O/r.git/git-receive-pack", "/o/r/info/refs?service=git-upload-pack", "/repos/o/r/issues", "/v1%2fa",
                 "/v1/a?q=1&q=2"});
  }
  std::uint16_t port() { return one_of<std::uint16_t>({80, 443, 443, 22, 5432, 8443, 3000, 0}); }
  std::string_view ip() { return pick({"45.33.32.10", "45.33.32.11", "10.0.0.1", "2606:4700::1", "127.0.0.1"}); }
  Transport transport() {
    return one_of<Transport>({Transport::kTcp, Transport::kTcp, Transport::kUdp, Transport::kIcmp});
  }
  bool chance(int in) { return below(in) == 0; }
  int below(int bound) { return static_cast<int>(random_() % static_cast<std::uint32_t>(bound)); }

 private:
  template <class T>
  T one_of(std::initializer_list<T> from) {
    return from.begin()[below(static_cast<int>(from.size()))];
  }
  std::string_view pick(std::initializer_list<std::string_view> from) { return one_of(from); }

  std::string_view service() {
    return pick(
        {"{name: github, readonly: true}", "{name: github, repos: [o/r], git: {access: read}}",
         "{name: github, repos: [O/R], git: {access: readwrite, auth: {secret: s}}, api: {access: readwrite}}"});
  }

  std::string pattern() {
    const auto name = std::string(host());
    return chance(3) ? "\"*." + name + "\"" : name;
  }

  std::string rule(bool may_set_header = true) {
    const bool sets_header = may_set_header && chance(4);
    std::string out =
        "      - {schemes: [" + std::string(sets_header ? "https" : pick({"http", "https", "http, https"})) + "]";
    if (sets_header) out += ", transform: {request: {headers: {X-Key: {secret: s, transform: {type: raw}}}}}";
    if (chance(2)) out += ", methods: [" + std::string(pick({"GET", "POST", "GET, POST"})) + "]";
    if (chance(2))
      out += ", path: " + std::string(pick({"{prefix: /v1/}", "{exact: /v1/a}", "{exact: /}", "{prefix: /v1}"}));
    const std::string query(may_set_header ? pick({"{}", "{q: 1}"}) : "{q: 1}");
    if (chance(4)) out += ", query: {exact: " + query + "}";
    return out + "}\n";
  }

  std::string domain() {
    if (chance(3)) return "  - " + pattern() + "\n";
    std::string out = "  - host: " + pattern() + "\n";
    if (chance(4)) out += "    addresses: [10.0.0.0/8]\n";
    if (chance(3)) {
      out += "    ports: " + std::string(pick({"[443, 8443]", "[8443]", "[3000]", "2000-9000", "[80, 3000]"})) + "\n";
    }
    if (chance(5)) out += "    tls: inspect\n";
    if (chance(5)) return out;
    out += "    rules:\n";
    for (int i = 1 + below(3); i > 0; --i) out += rule();
    return out;
  }

  std::string endpoint() {
    const std::string ports = std::string(pick({"[22]", "[22, 5432]", "[5432]", "[443]", "[80, 5000-9000]"}));
    const std::string protocol = chance(3) ? "udp" : "tcp";
    if (chance(2)) return "  - {host: " + pattern() + ", ports: " + ports + ", protocol: " + protocol + "}\n";
    return "  - {cidr: " + std::string(pick({"45.33.32.10", "45.33.32.0/24", "10.0.0.0/8"})) + ", ports: " + ports +
           ", protocol: " + protocol + "}\n";
  }

  std::string denial() {
    if (chance(4)) return "  - " + pattern() + "\n";
    const std::string ports = std::string(pick({"[22]", "[443, 8443]", "2000-9000", "[80]"}));
    if (chance(4)) {
      return "  - {cidr: " + std::string(pick({"45.33.32.10", "45.33.32.0/24"})) +
             (chance(2) ? ", ports: " + ports : "") + "}\n";
    }
    std::string out = "  - host: " + std::string(chance(6) ? "\"*\"" : pattern()) + "\n";
    if (chance(2)) out += "    ports: " + ports + "\n";
    if (chance(3)) return out;
    out += "    rules:\n";
    for (int i = 1 + below(2); i > 0; --i) out += rule(false);
    return out;
  }

  std::mt19937 random_;
};

// One flow as more and more of it becomes known. Its name is known from the first question on.
inline std::vector<FlowFacts> growing_flow(Generator& any) {
  const std::string host(any.host());
  const auto port = any.port();
  const bool https_flow = port == 443 || (port != 80 && any.chance(2));
  std::vector<FlowFacts> steps{dns(host)};
  if (port != 80 && any.chance(2)) steps.push_back(connect(host, port));
  if (https_flow) steps.push_back(tls(host, port));
  auto request = https_flow ? https(host) : http(host);
  request.port = port;
  const auto method = any.method();
  const auto target = any.target();
  request.method.reset();
  request.target.reset();
  if (https_flow) request.sni = name(host);
  steps.push_back(request);
  request.method = method;
  steps.push_back(request);
  request.target = target;
  steps.push_back(request);
  if (any.chance(4)) {
    request.sni = name(any.host());
    steps.push_back(request);
  }
  return steps;
}

inline FlowFacts any_flow(Generator& any, std::vector<base::HostName>& names) {
  const std::string host(any.host());
  const auto port = any.port();
  switch (any.below(6)) {
    case 0:
      return dns(host);
    case 1:
      return tls(host, port);
    case 2:
      return connect(host, port);
    case 3:
    case 4: {
      auto request = any.chance(2) ? http(host, any.method(), any.target()) : https(host, any.method(), any.target());
      if (any.chance(3) && port != 80 && port != 443) request.port = port;
      return request;
    }
    default:
      break;
  }
  auto facts = packet(any.ip(), port, any.transport());
  if (any.chance(2)) names.push_back(name(host));
  facts.resolved_names = names;
  return facts;
}

}  // namespace soleroute::policy::testing
