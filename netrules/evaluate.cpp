// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "netrules/variant.h"

namespace soleroute::netrules {
namespace {

bool is_protocol(const Packet& packet, Protocol protocol) {
  return packet.protocol == static_cast<std::uint8_t>(protocol);
}

bool holds(const Match& match, const Packet& packet) {
  return std::visit(
      Overloaded{
          [&](const InputInterface& m) { return (packet.input_interface == m.name) != m.negated; },
          [&](const OutputInterface& m) { return (packet.output_interface == m.name) != m.negated; },
          [&](const FamilyIs& m) { return packet.destination.family() == m.family; },
          [&](const ProtocolIs& m) { return is_protocol(packet, m.protocol); },
          [&](const SourceIn& m) { return m.prefix.contains(packet.source); },
          [&](const DestinationIn& m) { return m.prefix.contains(packet.destination); },
          [&](const DestinationPorts& m) {
            return is_protocol(packet, m.protocol) && std::ranges::binary_search(m.ports, packet.destination_port);
          },
          [&](const DestinationPortRange& m) {
            return is_protocol(packet, m.protocol) && m.ports.contains(packet.destination_port);
          },
          [&](const ConnectionState& m) { return (packet.state & m.any_of) != 0; },
          [&](const DestinationWasRedirected&) { return packet.redirected; },
          [&](const Direction& m) { return packet.state != ConnectionState::kUntracked && packet.reply == m.reply; },
          [&](const ConnectionMark& m) { return packet.connection_mark == m.mark; },
          [&](const PacketMark& m) { return packet.mark == m.mark; },
          [&](const DestinationIsLocal& m) {
            return m.on_input_interface ? packet.destination_is_on_input : packet.destination_is_local;
          },
          [&](const SourceIsNotLocal&) { return !packet.source_is_local; },
          [&](const SourceHasNoRouteBack&) { return !packet.source_has_route_back; },
          [&](const IcmpTypeIs& m) {
            return is_protocol(packet, m.protocol) && packet.destination.is_v4() == (m.protocol == Protocol::kIcmp) &&
                   std::ranges::binary_search(m.types, packet.icmp_type);
          },
          [&](const HasIpOptions&) { return packet.destination.is_v4() && packet.has_ip_options; },
          [&](const HasRoutingHeader&) { return packet.destination.is_v6() && packet.has_routing_header; },
          [&](const NextHopIs& m) { return packet.next_hop == m.address; },
          [&](const WithinRate&) { return packet.within_rate; },
      },
      match);
}

enum class Step : std::uint8_t { kNext, kReturn, kEndChain, kEndPacket };

base::IpAddress loopback(base::Family family) {
  if (family == base::Family::kV4) return base::IpAddress::v4(std::array<std::uint8_t, 4>{127, 0, 0, 1});
  std::array<std::uint8_t, 16> bytes{};
  bytes.back() = 1;
  return base::IpAddress::v6(bytes);
}

// One packet's way through the base chains of one hook.
class Evaluation {
 public:
  Evaluation(const Ruleset& ruleset, Hook hook, Packet& packet) : ruleset_(ruleset), hook_(hook), packet_(packet) {}

  Verdict run() {
    std::vector<const Chain*> chains;
    for (const Chain& chain : ruleset_.chains) {
      if (chain.base && chain.base->hook == hook_) chains.push_back(&chain);
    }
    std::ranges::sort(chains, {}, [](const Chain* chain) { return std::pair(chain->base->priority, chain); });
    for (const Chain* chain : chains) {
      if (chain->base->type == ChainType::kNat && packet_.state != ConnectionState::kNew) continue;
      if (run_base(*chain) == Step::kEndPacket) return verdict_;
    }
    return verdict_;
  }

 private:
  Step run_base(const Chain& chain) {
    const Step step = run_rules(chain);
    if (step == Step::kEndChain || step == Step::kEndPacket) return step;
    verdict_.decided_by = fmt::format("chain {} policy", chain.name);
    if (chain.base->policy == ChainPolicy::kAccept) return Step::kEndChain;
    return end(Fate::kDropped);
  }

  Step run_rules(const Chain& chain) {
    for (std::size_t i = 0; i < chain.rules.size(); ++i) {
      const Rule& rule = chain.rules[i];
      if (!std::ranges::all_of(rule.matches, [&](const Match& match) { return holds(match, packet_); })) continue;
      verdict_.hits.push_back({chain.name, i});
      const Step step = run_statements(rule);
      if (step == Step::kReturn) return Step::kReturn;
      if (step == Step::kNext) continue;
      const bool here = !std::holds_alternative<Jump>(rule.statements.back());
      if (here) verdict_.decided_by = fmt::format("chain {} rule {}", chain.name, i + 1);
      return step;
    }
    return Step::kNext;
  }

  Step run_statements(const Rule& rule) {
    Step step = Step::kNext;
    for (const Statement& statement : rule.statements) {
      step = std::visit([this](const auto& s) { return apply(s); }, statement);
    }
    return step;
  }

  Step end(Fate fate) {
    verdict_.fate = fate;
    return Step::kEndPacket;
  }
  Step queue(std::uint16_t number) {
    verdict_.queued_to = number;
    return packet_.queue_has_listener ? Step::kEndChain : end(Fate::kDropped);
  }

  Step apply(const Count&) { return Step::kNext; }
  Step apply(const SetConnectionMark& s) {
    packet_.connection_mark = s.mark;
    return Step::kNext;
  }
  Step apply(const NoTrack&) {
    packet_.state = ConnectionState::kUntracked;
    return Step::kNext;
  }
  Step apply(const Accept&) { return Step::kEndChain; }
  Step apply(const Drop&) { return end(Fate::kDropped); }
  Step apply(const Return&) { return Step::kReturn; }
  Step apply(const Jump& s) {
    const auto target = std::ranges::find(ruleset_.chains, s.chain, &Chain::name);
    const Step step = run_rules(*target);
    return step == Step::kReturn ? Step::kNext : step;
  }
  Step apply(const RejectWithReset&) { return end(Fate::kReset); }
  Step apply(const RejectAsProhibited&) { return end(Fate::kProhibited); }
  Step apply(const RedirectTo& s) {
    verdict_.redirected_to = s.port;
    packet_.redirected = true;
    packet_.destination_port = s.port;
    packet_.destination_is_local = true;
    packet_.destination_is_on_input = true;
    if (hook_ == Hook::kOutput) {  // a local program's packet turns round to the loopback address
      packet_.destination = loopback(packet_.destination.family());
      packet_.output_interface = "lo";
    }
    return Step::kEndChain;
  }
  Step apply(const Queue& s) { return queue(s.number); }
  Step apply(const CompatQueue& s) { return queue(s.number); }

  const Ruleset& ruleset_;
  Hook hook_;
  Packet& packet_;
  Verdict verdict_;
};

// What the first hooks did is kept where a later one says nothing of it.
Verdict then(const Verdict& first, Verdict second) {
  if (!second.redirected_to) second.redirected_to = first.redirected_to;
  if (!second.queued_to) second.queued_to = first.queued_to;
  if (second.decided_by.empty()) second.decided_by = first.decided_by;
  second.hits.insert(second.hits.begin(), first.hits.begin(), first.hits.end());
  return second;
}

}  // namespace

Verdict evaluate(const Ruleset& ruleset, Hook hook, Packet& packet) {
  return Evaluation(ruleset, hook, packet).run();
}

Verdict arrive(const Ruleset& ruleset, Packet packet, const base::IpAddress& local_address) {
  const Verdict first = evaluate(ruleset, Hook::kPrerouting, packet);
  if (first.fate != Fate::kAccepted) return first;
  if (first.redirected_to) packet.destination = local_address;
  const Hook hook = packet.destination_is_local ? Hook::kInput : Hook::kForward;
  return then(first, evaluate(ruleset, hook, packet));
}

Verdict leave(const Ruleset& ruleset, Packet packet) {
  const Verdict first = evaluate(ruleset, Hook::kOutput, packet);
  if (first.fate != Fate::kAccepted || !packet.destination_is_local) return first;
  packet.input_interface = "lo";
  packet.output_interface.clear();
  const Verdict looped = then(first, evaluate(ruleset, Hook::kPrerouting, packet));
  if (looped.fate != Fate::kAccepted) return looped;
  return then(looped, evaluate(ruleset, Hook::kInput, packet));
}

}  // namespace soleroute::netrules
