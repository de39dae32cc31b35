// Shorthand for policy tests: compile text, gather facts. Test code only.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/decision.h"
#include "policy/policy.h"

namespace soleroute::policy::testing {

using PolicyPointer = std::shared_ptr<const Policy>;

inline base::Result<PolicyPointer> try_compile(std::initializer_list<std::string_view> texts) {
  std::vector<PolicySource> sources;
  for (const auto text : texts) {
    const std::string name = sources.empty() ? "policy.yaml" : "layer" + std::to_string(sources.size()) + ".yaml";
    sources.push_back({name, std::string(text)});
  }
  return Policy::compile(sources);
}

// A test that cannot compile its policy cannot go on: the empty policy denies everything and says why.
inline PolicyPointer compile(std::initializer_list<std::string_view> texts) {
  auto policy = try_compile(texts);
  if (policy) return *policy;
  ADD_FAILURE() << policy.error().message;
  return *Policy::compile({});
}
inline PolicyPointer compile(std::string_view text) {
  return compile({text});
}

inline base::HostName name(std::string_view text) {
  return *base::HostName::parse(text);
}
inline base::IpAddress address(std::string_view text) {
  return *base::IpAddress::parse(text);
}

inline FlowFacts dns(std::string_view host) {
  return {.phase = Phase::kDns, .host = name(host)};
}

inline FlowFacts tls(std::string_view sni, std::uint16_t port = 443) {
  FlowFacts facts;
  facts.phase = Phase::kTls;
  facts.sni = name(sni);
  facts.port = port;
  facts.scheme = Scheme::kHttps;
  return facts;
}

inline FlowFacts http(std::string_view host, std::string_view method = "GET", std::string_view target = "/") {
  FlowFacts facts;
  facts.phase = Phase::kHttp;
  facts.host = name(host);
  facts.port = 80;
  facts.scheme = Scheme::kHttp;
  facts.method = method;
  facts.target = target;
  return facts;
}

inline FlowFacts https(std::string_view host, std::string_view method = "GET", std::string_view target = "/") {
  auto facts = http(host, method, target);
  facts.scheme = Scheme::kHttps;
  facts.port = 443;
  return facts;
}

inline FlowFacts at(FlowFacts facts, std::uint16_t port) {
  facts.port = port;
  return facts;
}

inline FlowFacts connect(std::string_view host, std::uint16_t port = 443) {
  FlowFacts facts;
  facts.phase = Phase::kConnect;
  facts.host = name(host);
  facts.port = port;
  return facts;
}

inline FlowFacts packet(std::string_view destination, std::uint16_t port, Transport transport = Transport::kTcp) {
  FlowFacts facts;
  facts.phase = Phase::kPacket;
  facts.transport = transport;
  facts.original_destination = base::Endpoint{address(destination), port};
  facts.port = port;
  return facts;
}

inline std::string reason(const Policy& policy, const FlowFacts& facts) {
  return std::string(to_string(policy.decide(facts).reason));
}

}  // namespace soleroute::policy::testing
