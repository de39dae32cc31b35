// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "netrules/ruleset.h"
#include "netrules/variant.h"

namespace soleroute::netrules {
namespace {

bool is_name(std::string_view text, std::size_t limit) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto inner = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
  return !text.empty() && text.size() <= limit && letter(text.front()) && std::ranges::all_of(text, inner);
}

// Words of nft's grammar that cannot be the name of a table or a chain.
bool is_reserved(std::string_view name) {
  constexpr std::string_view kWords[] = {"accept", "chain", "counter",  "drop",   "filter", "jump", "limit", "log",
                                         "meta",   "queue", "redirect", "reject", "return", "set",  "table", "notrack"};
  return name != "filter" && std::ranges::find(kWords, name) != std::end(kWords);
}

// A trailing '*' is a wildcard to nft, quotes and backslashes are read in two ways.
bool is_interface_name(std::string_view name) {
  const auto plain = [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '*' && c != '/'; };
  return !name.empty() && name.size() <= kMaxInterfaceName && name != "." && name != ".." &&
         std::ranges::all_of(name, plain);
}

bool is_comment(std::string_view text) {
  const auto plain = [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; };
  return text.size() <= kMaxComment && std::ranges::all_of(text, plain);
}

template <class T>
bool is_sorted_set(const std::vector<T>& values) {
  return !values.empty() && std::ranges::is_sorted(values, std::ranges::less_equal{}) &&
         std::ranges::adjacent_find(values) == values.end();
}

bool is_terminal(const Statement& statement) {
  return !std::holds_alternative<Count>(statement) && !std::holds_alternative<SetConnectionMark>(statement) &&
         !std::holds_alternative<NoTrack>(statement);
}

// Where in the packet's path a chain is evaluated: at the base chain that leads to it.
struct Reach {
  BaseChain from;
  [[nodiscard]] bool only(std::initializer_list<Hook> hooks) const {
    return std::ranges::find(hooks, from.hook) != hooks.end();
  }
  [[nodiscard]] bool only(ChainType type) const { return from.type == type; }
};

using Fault = std::string;  // empty: none

Fault when(bool wrong, const char* what) {
  return wrong ? Fault(what) : Fault();
}

// What the rule has asked of family and protocol so far. nft drops an explicit question that a later match implies, and
// refuses one that an earlier match answered: the text would not be what is programmed.
struct Known {
  std::optional<base::Family> family;
  std::optional<Protocol> protocol;
  bool family_asked = false;
  bool protocol_asked = false;
};

Fault learn_family(Known& known, base::Family family, bool explicitly) {
  if (known.family && *known.family != family) return "matches two address families at once";
  if (known.family && (explicitly || known.family_asked)) return "matches the address family twice";
  known.family = family;
  known.family_asked = explicitly;
  return {};
}

Fault learn_protocol(Known& known, Protocol protocol, bool explicitly) {
  if (known.protocol && *known.protocol != protocol) return "matches two protocols at once";
  if (known.protocol && (explicitly || known.protocol_asked)) return "matches the protocol twice";
  known.protocol = protocol;
  known.protocol_asked = explicitly;
  return {};
}

Fault prefix_fault(Known& known, const base::Cidr& prefix) {
  if (prefix.prefix_length() == 0) return "has a prefix of length 0, which matches every address: say the family";
  return learn_family(known, prefix.address().family(), false);
}

Fault ports_fault(Known& known, const DestinationPorts& m) {
  if (m.protocol != Protocol::kTcp && m.protocol != Protocol::kUdp) return "matches ports of a protocol without ports";
  if (!is_sorted_set(m.ports)) return "has ports that are not a sorted set";
  if (m.ports.front() == 0) return "matches port 0";
  return learn_protocol(known, m.protocol, false);
}

Fault port_range_fault(Known& known, const DestinationPortRange& m) {
  if (m.protocol != Protocol::kTcp && m.protocol != Protocol::kUdp) return "matches ports of a protocol without ports";
  if (m.ports.first == 0) return "matches port 0";
  if (m.ports.first >= m.ports.last) return "has a range of ports that does not rise";
  return learn_protocol(known, m.protocol, false);
}

Fault icmp_fault(Known& known, const IcmpTypeIs& m) {
  if (m.protocol != Protocol::kIcmp && m.protocol != Protocol::kIcmpv6) return "matches ICMP types of another protocol";
  if (!is_sorted_set(m.types)) return "has ICMP types that are not a sorted set";
  if (Fault fault = learn_protocol(known, m.protocol, false); !fault.empty()) return fault;
  return learn_family(known, m.protocol == Protocol::kIcmp ? base::Family::kV4 : base::Family::kV6, false);
}

Fault match_fault(const Match& match, Known& known, const Reach& reach) {
  return std::visit(
      Overloaded{
          [&](const InputInterface& m) {
            if (!is_interface_name(m.name)) return Fault("has a bad interface name");
            return when(!reach.only({Hook::kPrerouting, Hook::kInput, Hook::kForward}), "has no input interface here");
          },
          [&](const OutputInterface& m) {
            if (!is_interface_name(m.name)) return Fault("has a bad interface name");
            return when(!reach.only({Hook::kForward, Hook::kOutput, Hook::kPostrouting}),
                        "has no output interface here");
          },
          [&](const FamilyIs& m) { return learn_family(known, m.family, true); },
          [&](const ProtocolIs& m) { return learn_protocol(known, m.protocol, true); },
          [&](const SourceIn& m) { return prefix_fault(known, m.prefix); },
          [&](const DestinationIn& m) { return prefix_fault(known, m.prefix); },
          [&](const DestinationPorts& m) { return ports_fault(known, m); },
          [&](const DestinationPortRange& m) { return port_range_fault(known, m); },
          [&](const ConnectionState& m) { return when(state_names(m.any_of).empty(), "matches no connection state"); },
          [&](const DestinationWasRedirected&) { return Fault(); },
          [&](const Direction&) { return Fault(); },
          [&](const ConnectionMark& m) { return when(m.mark == 0, "trusts mark 0, which every packet has"); },
          [&](const PacketMark& m) { return when(m.mark == 0, "trusts mark 0, which every packet has"); },
          [&](const DestinationIsLocal& m) {
            return when(m.on_input_interface && !reach.only({Hook::kPrerouting, Hook::kInput, Hook::kForward}),
                        "has no input interface here");
          },
          [&](const SourceIsNotLocal&) { return Fault(); },
          [&](const SourceHasNoRouteBack&) {
            return when(!reach.only({Hook::kPrerouting, Hook::kInput, Hook::kForward}), "has no input interface here");
          },
          [&](const IcmpTypeIs& m) { return icmp_fault(known, m); },
          [&](const HasIpOptions&) { return learn_family(known, base::Family::kV4, false); },
          [&](const HasRoutingHeader&) { return learn_family(known, base::Family::kV6, false); },
          [&](const NextHopIs&) {
            return when(!reach.only({Hook::kForward, Hook::kOutput, Hook::kPostrouting}), "has no route here yet");
          },
          [&](const WithinRate& m) { return when(m.per_second == 0 || m.burst == 0, "has a rate of 0"); },
      },
      match);
}

Fault statement_fault(const Statement& statement, const Known& known, const Reach& reach) {
  const auto filter_at = [&](std::initializer_list<Hook> hooks) {
    return reach.only(ChainType::kFilter) && reach.only(hooks);
  };
  return std::visit(
      Overloaded{
          [&](const Count&) { return Fault(); },
          [&](const SetConnectionMark& s) { return when(s.mark == 0, "sets mark 0"); },
          [&](const NoTrack&) {
            return when(reach.from.priority > kPriorityRaw || !filter_at({Hook::kPrerouting, Hook::kOutput}),
                        "can stop tracking only before it began");
          },
          [&](const Accept&) { return Fault(); },
          [&](const Drop&) { return when(!reach.only(ChainType::kFilter), "drops in a nat chain"); },
          [&](const Return&) { return Fault(); },
          [&](const Jump&) { return Fault(); },
          [&](const RejectWithReset&) {
            if (known.protocol != Protocol::kTcp) return Fault("resets what may not be TCP");
            return when(!filter_at({Hook::kPrerouting, Hook::kInput, Hook::kForward, Hook::kOutput}),
                        "cannot reject here");
          },
          [&](const RejectAsProhibited&) {
            return when(!filter_at({Hook::kPrerouting, Hook::kInput, Hook::kForward, Hook::kOutput}),
                        "cannot reject here");
          },
          [&](const RedirectTo& s) {
            if (s.port == 0) return Fault("redirects to port 0");
            if (known.protocol != Protocol::kTcp && known.protocol != Protocol::kUdp) {
              return Fault("redirects to a port without asking for TCP or UDP");
            }
            return when(!reach.only(ChainType::kNat) || !reach.only({Hook::kPrerouting, Hook::kOutput}),
                        "redirects outside a nat chain of prerouting or output");
          },
          [&](const Queue&) { return when(!reach.only(ChainType::kFilter), "queues in a nat chain"); },
          [&](const CompatQueue&) { return when(!reach.only(ChainType::kFilter), "queues in a nat chain"); },
      },
      statement);
}

Fault rule_fault(const Rule& rule, const Reach& reach) {
  if (!is_comment(rule.comment)) return "has a comment that nft does not accept";
  if (rule.statements.empty()) return "does nothing";
  Known known;
  for (const Match& match : rule.matches) {
    if (Fault fault = match_fault(match, known, reach); !fault.empty()) return fault;
  }
  for (std::size_t i = 0; i < rule.statements.size(); ++i) {
    if (is_terminal(rule.statements[i]) && i + 1 != rule.statements.size()) return "continues after its verdict";
    if (Fault fault = statement_fault(rule.statements[i], known, reach); !fault.empty()) return fault;
  }
  return {};
}

bool ends_every_packet(const Rule& rule) {
  const Statement& last = rule.statements.back();
  return rule.matches.empty() && is_terminal(last) && !std::holds_alternative<Jump>(last);
}

const Chain* find_chain(const Ruleset& ruleset, const std::string& name) {
  const auto found = std::ranges::find(ruleset.chains, name, &Chain::name);
  return found == ruleset.chains.end() ? nullptr : &*found;
}

constexpr int kMaxJumpDepth = 4;  // ours; the kernel's is 16

// Checks a chain as reached from one base chain, and what it jumps to.
base::Status check_chain(const Ruleset& ruleset, const Chain& chain, const BaseChain& from, int depth,
                         std::set<std::string>& reached) {
  reached.insert(chain.name);
  const auto bad = [&](const std::string& what) {
    return base::system_error(fmt::format("rules for table {}: chain {}: {}", ruleset.table, chain.name, what));
  };
  if (depth > kMaxJumpDepth) return bad("jumps too deep or in a circle");
  bool ended = false;
  for (const Rule& rule : chain.rules) {
    const auto bad_rule = [&](const Fault& fault) { return bad(fmt::format("'{}' {}", to_text(rule), fault)); };
    if (Fault fault = rule_fault(rule, Reach{from}); !fault.empty()) return bad_rule(fault);
    if (ended) return bad_rule("is never reached");
    ended = ends_every_packet(rule);
    const auto* jump = std::get_if<Jump>(&rule.statements.back());
    if (jump == nullptr) continue;
    const Chain* target = find_chain(ruleset, jump->chain);
    if (target == nullptr || target->base) return bad_rule("jumps to no regular chain of this table");
    SR_TRY(check_chain(ruleset, *target, from, depth + 1, reached));
  }
  return {};
}

Fault base_fault(const BaseChain& base) {
  if (base.type == ChainType::kFilter) return {};
  constexpr std::int32_t kPriorityConntrack = -200;  // NF_IP_PRI_CONNTRACK: the kernel refuses nat chains before it
  if (base.priority <= kPriorityConntrack) return "is a nat chain before connection tracking";
  if (base.policy != ChainPolicy::kAccept) return "is a nat chain that drops";
  return {};
}

}  // namespace

base::Status validate(const Ruleset& ruleset) {
  const auto bad = [&](const std::string& what) {
    return base::system_error(fmt::format("rules for table {}: {}", ruleset.table, what));
  };
  if (!is_name(ruleset.table, kMaxName) || is_reserved(ruleset.table)) return bad("is not a name for a table");
  std::set<std::string> names;
  std::set<std::string> reached;
  for (const Chain& chain : ruleset.chains) {
    if (!is_name(chain.name, kMaxName) || is_reserved(chain.name))
      return bad(chain.name + " is not a name for a chain");
    if (!names.insert(chain.name).second) return bad("two chains named " + chain.name);
    if (!chain.base) continue;
    if (Fault fault = base_fault(*chain.base); !fault.empty()) return bad(chain.name + " " + fault);
    SR_TRY(check_chain(ruleset, chain, *chain.base, 0, reached));
  }
  for (const Chain& chain : ruleset.chains) {
    if (!reached.contains(chain.name)) return bad("nothing jumps to chain " + chain.name);
  }
  return {};
}

}  // namespace soleroute::netrules
