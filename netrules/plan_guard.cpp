// SPDX-License-Identifier: GPL-3.0-or-later
#include <utility>

#include "netrules/plan_parts.h"

namespace soleroute::netrules::plan {
namespace {

// An engine's resolver answers on 127.0.0.11 and asks on from this namespace, where these rules hold it too.
void add_engine_dns(Chain& chain) {
  const Match resolver = DestinationIn{engine_dns()};
  chain.rules.push_back(accept({resolver, DestinationWasRedirected{}}));
  chain.rules.push_back(accept({resolver, udp(kDns)}));
  chain.rules.push_back(accept({resolver, tcp({kDns})}));
  chain.rules.push_back(turn_back({resolver}));
}

void add_gateway_path(const Intent& intent, const base::IpAddress& gateway, Chain& chain) {
  const Matches through{NextHopIs{gateway}};
  chain.rules.push_back(accept(joined(through, {udp(kDns)})));
  chain.rules.push_back(accept(joined(through, {tcp({kDns, kHttp, kHttps})})));
  for (const base::Cidr& network : intent.denied_networks) {
    if (network.address().family() != gateway.family()) continue;
    chain.rules.push_back(accept(joined(through, {DestinationIn{network}, ProtocolIs{Protocol::kTcp}}),
                                 "addresses of denied names: refused by the gateway"));
  }
  const DestinationIn itself{*base::Cidr::make(gateway, gateway.bits())};
  if (intent.explicit_proxy_port != 0) chain.rules.push_back(accept({itself, tcp({intent.explicit_proxy_port})}));
  for (const EndpointRule& endpoint : tcp_endpoints(intent)) {
    if (endpoint.cidr && endpoint.cidr->address().family() != gateway.family()) continue;
    for (Matches& those : endpoint_matches(through, endpoint)) {
      chain.rules.push_back(accept(std::move(those), shown(endpoint.comment)));
    }
  }
  for (const EndpointRule& endpoint : udp_endpoints(intent)) {
    if (endpoint.cidr && endpoint.cidr->address().family() != gateway.family()) continue;
    for (Matches& those : endpoint_matches(through, endpoint)) {
      chain.rules.push_back(accept(std::move(those), shown(endpoint.comment)));
    }
  }
  const IcmpTypeIs echo = gateway.is_v4() ? IcmpTypeIs{Protocol::kIcmp, {kIcmpEchoRequest}}
                                          : IcmpTypeIs{Protocol::kIcmpv6, {kIcmpv6EchoRequest}};
  chain.rules.push_back(accept({itself, echo}));
}

// Of a connection that came in to a published port. No program can set it without NET_ADMIN.
constexpr std::uint32_t kPublishedMark = 0x50554221;

Chain guard_input(const Intent& intent) {
  Chain chain{"input", closed_at(Hook::kInput), {accept({InputInterface{"lo"}})}};
  if (!intent.published_ports.empty()) {
    chain.rules.push_back({{Direction{false}, tcp(intent.published_ports)},
                           {SetConnectionMark{kPublishedMark}, Accept{}},
                           "published: opened from outside"});
  }
  chain.rules.push_back(
      accept({Direction{true}, ConnectionState{ConnectionState::kEstablished | ConnectionState::kRelated}}));
  chain.rules.push_back(neighbours({}, link_types_in()));
  return chain;
}

// The direction alone would not do: a connection that stood before these rules has it too.
void add_published_answers(const Intent& intent, Chain& chain) {
  if (intent.published_ports.empty()) return;
  chain.rules.push_back(accept({ProtocolIs{Protocol::kTcp}, ConnectionMark{kPublishedMark}, Direction{true}},
                               "published: answers of the agent's servers"));
}

}  // namespace

Ruleset open_guard(const Intent& intent) {
  Chain wanted{"wanted", std::nullopt, {}};
  add_engine_dns(wanted);
  wanted.rules.push_back(accept({DestinationIsLocal{}}));
  add_published_answers(intent, wanted);
  for (const base::IpAddress& gateway : intent.gateway_addresses) add_gateway_path(intent, gateway, wanted);
  wanted.rules.push_back(neighbours({}, link_types_out()));
  Ruleset ruleset{intent.table, {own_sources(), std::move(wanted)}};
  add_report(intent, Hook::kOutput, {}, "wanted", ruleset);
  Chain output{"output", closed_at(Hook::kOutput), {{{}, {Jump{"wanted"}}, {}}}};
  add_refusal({}, output);
  ruleset.chains.push_back(std::move(output));
  ruleset.chains.push_back(guard_input(intent));
  ruleset.chains.push_back({"forward", closed_at(Hook::kForward), {}});
  return ruleset;
}

Ruleset closed_guard(const Intent& intent) {
  Chain output{"output", closed_at(Hook::kOutput), {}};
  output.rules.push_back(counted_drop({DestinationIn{engine_dns()}}, "not open yet"));
  output.rules.push_back(accept({DestinationIsLocal{}}));
  output.rules.push_back(neighbours({}, link_types_out()));
  Chain input{"input", closed_at(Hook::kInput), {accept({InputInterface{"lo"}}), neighbours({}, link_types_in())}};
  return {intent.table,
          {own_sources(), std::move(output), std::move(input), Chain{"forward", closed_at(Hook::kForward), {}}}};
}

}  // namespace soleroute::netrules::plan
