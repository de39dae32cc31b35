// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "netrules/ruleset.h"
#include "netrules/variant.h"

namespace soleroute::netrules {
namespace {

// nft omits the length of a full-length prefix.
std::string prefix_text(const base::Cidr& prefix) {
  if (prefix.prefix_length() == prefix.address().bits()) return prefix.address().to_string();
  return prefix.to_string();
}

std::string set_text(const std::vector<std::string>& elements) {
  if (elements.size() == 1) return elements.front();
  return fmt::format("{{ {} }}", fmt::join(elements, ", "));
}

std::string ports_text(const std::vector<std::uint16_t>& ports) {
  std::vector<std::string> elements;
  for (const std::uint16_t port : ports) elements.push_back(std::to_string(port));
  return set_text(elements);
}

std::string icmp_types_text(const IcmpTypeIs& match) {
  std::vector<std::string> elements;
  for (const std::uint8_t type : match.types) elements.push_back(icmp_type_text(match.protocol, type));
  return set_text(elements);
}

std::string match_text(const Match& match) {
  return std::visit(
      Overloaded{
          [](const InputInterface& m) { return fmt::format("iifname {}\"{}\"", m.negated ? "!= " : "", m.name); },
          [](const OutputInterface& m) { return fmt::format("oifname {}\"{}\"", m.negated ? "!= " : "", m.name); },
          [](const FamilyIs& m) {
            return fmt::format("meta nfproto {}", m.family == base::Family::kV4 ? "ipv4" : "ipv6");
          },
          [](const ProtocolIs& m) { return fmt::format("meta l4proto {}", to_string(m.protocol)); },
          [](const SourceIn& m) {
            return fmt::format("{} saddr {}", ip_keyword(m.prefix.address().family()), prefix_text(m.prefix));
          },
          [](const DestinationIn& m) {
            return fmt::format("{} daddr {}", ip_keyword(m.prefix.address().family()), prefix_text(m.prefix));
          },
          [](const DestinationPorts& m) {
            return fmt::format("{} dport {}", to_string(m.protocol), ports_text(m.ports));
          },
          [](const DestinationPortRange& m) {
            return fmt::format("{} dport {}", to_string(m.protocol), base::to_string(m.ports));
          },
          [](const ConnectionState& m) { return fmt::format("ct state {}", fmt::join(state_names(m.any_of), ",")); },
          [](const DestinationWasRedirected&) { return std::string("ct status dnat"); },
          [](const Direction& m) { return fmt::format("ct direction {}", m.reply ? "reply" : "original"); },
          [](const ConnectionMark& m) { return fmt::format("ct mark 0x{:08x}", m.mark); },
          [](const PacketMark& m) { return fmt::format("meta mark 0x{:08x}", m.mark); },
          [](const DestinationIsLocal& m) {
            return fmt::format("fib daddr{} type local", m.on_input_interface ? " . iif" : "");
          },
          [](const SourceIsNotLocal&) { return std::string("fib saddr type != local"); },
          [](const SourceHasNoRouteBack&) { return std::string("fib saddr . iif oif missing"); },
          [](const IcmpTypeIs& m) {
            return fmt::format("{} type {}", m.protocol == Protocol::kIcmp ? "icmp" : "icmpv6", icmp_types_text(m));
          },
          [](const HasIpOptions&) { return std::string("ip hdrlength > 5"); },
          [](const HasRoutingHeader&) { return std::string("exthdr rt exists"); },
          [](const NextHopIs& m) {
            return fmt::format("rt {} nexthop {}", ip_keyword(m.address.family()), m.address.to_string());
          },
          [](const WithinRate& m) {
            return fmt::format("limit rate {}/second burst {} packets", m.per_second, m.burst);
          },
      },
      match);
}

std::string statement_text(const Statement& statement) {
  return std::visit(Overloaded{
                        [](const Count&) { return std::string("counter"); },
                        [](const SetConnectionMark& s) { return fmt::format("ct mark set 0x{:08x}", s.mark); },
                        [](const NoTrack&) { return std::string("notrack"); },
                        [](const Accept&) { return std::string("accept"); },
                        [](const Drop&) { return std::string("drop"); },
                        [](const Return&) { return std::string("return"); },
                        [](const Jump& s) { return fmt::format("jump {}", s.chain); },
                        [](const RejectWithReset&) { return std::string("reject with tcp reset"); },
                        [](const RejectAsProhibited&) { return std::string("reject with icmpx admin-prohibited"); },
                        [](const RedirectTo& s) { return fmt::format("redirect to :{}", s.port); },
                        [](const Queue& s) { return fmt::format("queue to {}", s.number); },
                        [](const CompatQueue& s) { return fmt::format("xtables NFQUEUE num {}", s.number); },
                    },
                    statement);
}

bool writable_in_nft(const Rule& rule) {
  for (const Statement& statement : rule.statements) {
    if (std::holds_alternative<CompatQueue>(statement)) return false;
  }
  return true;
}

std::string chain_text(const Chain& chain) {
  std::string text = fmt::format("\tchain {} {{\n", chain.name);
  if (chain.base) {
    text += fmt::format("\t\ttype {} hook {} priority {}; policy {};\n", to_string(chain.base->type),
                        to_string(chain.base->hook), priority_text(chain.base->priority, chain.base->hook),
                        to_string(chain.base->policy));
  }
  for (const Rule& rule : chain.rules) text += fmt::format("\t\t{}\n", to_text(rule));
  return text + "\t}\n";
}

struct NamedType {
  std::uint8_t type;
  std::string_view name;
};
constexpr std::array kIcmpNames{NamedType{0, "echo-reply"}, NamedType{3, "destination-unreachable"},
                                NamedType{8, "echo-request"}, NamedType{11, "time-exceeded"}};
constexpr std::array kIcmpv6Names{NamedType{1, "destination-unreachable"},
                                  NamedType{2, "packet-too-big"},
                                  NamedType{3, "time-exceeded"},
                                  NamedType{128, "echo-request"},
                                  NamedType{129, "echo-reply"},
                                  NamedType{130, "mld-listener-query"},
                                  NamedType{131, "mld-listener-report"},
                                  NamedType{132, "mld-listener-done"},
                                  NamedType{133, "nd-router-solicit"},
                                  NamedType{134, "nd-router-advert"},
                                  NamedType{135, "nd-neighbor-solicit"},
                                  NamedType{136, "nd-neighbor-advert"},
                                  NamedType{143, "mld2-listener-report"}};

template <std::size_t kSize>
std::string named(const std::array<NamedType, kSize>& names, std::uint8_t type) {
  for (const NamedType& known : names) {
    if (known.type == type) return std::string(known.name);
  }
  return std::to_string(type);
}

}  // namespace

std::string_view ip_keyword(base::Family family) {
  return family == base::Family::kV4 ? "ip" : "ip6";
}

std::string_view to_string(Hook hook) {
  switch (hook) {
    case Hook::kPrerouting:
      return "prerouting";
    case Hook::kInput:
      return "input";
    case Hook::kForward:
      return "forward";
    case Hook::kOutput:
      return "output";
    case Hook::kPostrouting:
      return "postrouting";
  }
  return "";
}

std::string_view to_string(ChainType type) {
  return type == ChainType::kNat ? "nat" : "filter";
}

std::string_view to_string(ChainPolicy policy) {
  return policy == ChainPolicy::kAccept ? "accept" : "drop";
}

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::kIcmp:
      return "icmp";
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
    case Protocol::kIcmpv6:
      return "ipv6-icmp";
  }
  return "";
}

std::string priority_text(std::int32_t priority, Hook hook) {
  struct Named {
    std::string_view name;
    std::int32_t priority;
    std::optional<Hook> only;
  };
  constexpr std::int32_t kReach = 10;  // nft names a priority by its neighbour up to this distance
  constexpr std::array kNamed{Named{"raw", kPriorityRaw, {}},
                              Named{"mangle", kPriorityMangle, {}},
                              Named{"dstnat", kPriorityDstNat, Hook::kPrerouting},
                              Named{"filter", kPriorityFilter, {}},
                              Named{"security", 50, {}},
                              Named{"srcnat", 100, Hook::kPostrouting}};
  for (const Named& known : kNamed) {
    const std::int32_t offset = priority - known.priority;
    if (std::abs(offset) > kReach || (known.only && *known.only != hook)) continue;
    if (offset == 0) return std::string(known.name);
    return fmt::format("{} {} {}", known.name, offset < 0 ? '-' : '+', std::abs(offset));
  }
  return std::to_string(priority);
}

std::string icmp_type_text(Protocol protocol, std::uint8_t type) {
  return protocol == Protocol::kIcmp ? named(kIcmpNames, type) : named(kIcmpv6Names, type);
}

std::vector<std::string_view> state_names(std::uint8_t any_of) {
  constexpr std::array<std::pair<std::uint8_t, std::string_view>, 5> kStates{
      {{ConnectionState::kInvalid, "invalid"},
       {ConnectionState::kNew, "new"},
       {ConnectionState::kEstablished, "established"},
       {ConnectionState::kRelated, "related"},
       {ConnectionState::kUntracked, "untracked"}}};
  std::vector<std::string_view> names;
  for (const auto& [bit, name] : kStates) {
    if ((any_of & bit) != 0) names.push_back(name);
  }
  return names;
}

std::string to_text(const Rule& rule) {
  std::vector<std::string> parts;
  for (const Match& match : rule.matches) parts.push_back(match_text(match));
  for (const Statement& statement : rule.statements) parts.push_back(statement_text(statement));
  if (!rule.comment.empty()) parts.push_back(fmt::format("comment \"{}\"", rule.comment));
  return fmt::format("{}{}", writable_in_nft(rule) ? "" : "# ", fmt::join(parts, " "));
}

std::string to_text(const Ruleset& ruleset) {
  std::string text = fmt::format("table inet {} {{\n", ruleset.table);
  for (std::size_t i = 0; i < ruleset.chains.size(); ++i) {
    if (i != 0) text += '\n';
    text += chain_text(ruleset.chains[i]);
  }
  return text + "}\n";
}

}  // namespace soleroute::netrules
