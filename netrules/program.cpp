// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_NFQUEUE.h>

#include <algorithm>
#include <array>
#include <bit>
#include <span>

#include "netrules/variant.h"

namespace soleroute::netrules {
namespace {

// nft's data type numbers, which it stores with a set to list its elements by name.
constexpr std::uint32_t kTypeInetService = 13;
constexpr std::uint32_t kTypeIcmp = 14;
constexpr std::uint32_t kTypeIcmpv6 = 29;

constexpr std::uint32_t kIpVersionOffset = 0, kIpSourceOffset = 12, kIpDestinationOffset = 16;  // RFC 791 section 3.1
constexpr std::uint32_t kIp6SourceOffset = 8, kIp6DestinationOffset = 24;                       // RFC 8200 section 3
constexpr std::uint32_t kDestinationPortOffset = 2;     // RFC 9293 section 3.1, RFC 768
constexpr std::uint32_t kIcmpTypeOffset = 0;            // RFC 792, RFC 4443 section 2.1
constexpr std::uint8_t kHeaderLengthMask = 0x0f;        // the low half of the first byte
constexpr std::uint8_t kHeaderWordsWithoutOptions = 5;  // RFC 791: 20 bytes
constexpr std::uint32_t kRoutingHeader = 43;            // RFC 8200 section 4.4
constexpr std::uint32_t kLocalAddress = 2;              // RTN_LOCAL of linux/rtnetlink.h
constexpr std::uint32_t kCompatQueueRevision = 3;
constexpr std::size_t kInterfaceNameField = 16;  // IFNAMSIZ: nft compares the whole padded name

template <class T>
Octets host_octets(T value) {
  const auto raw = std::bit_cast<std::array<std::uint8_t, sizeof(T)>>(value);
  return {raw.begin(), raw.end()};
}

Octets network_octets(std::uint16_t value) {
  return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value & 0xff)};
}

Octets name_octets(const std::string& name) {
  Octets padded(name.begin(), name.end());
  padded.resize(kInterfaceNameField);
  return padded;
}

// Turns one rule into expressions, in nft's order: a match that needs a family or a protocol asks for it first, once.
class RuleLowering {
 public:
  std::vector<Expression> run(const Rule& rule) && {
    for (const Match& match : rule.matches) std::visit([this](const auto& m) { lower(m); }, match);
    for (const Statement& statement : rule.statements) std::visit([this](const auto& s) { lower(s); }, statement);
    return std::move(out_);
  }

 private:
  void add(Expression expression) { out_.push_back(std::move(expression)); }
  void equals(Octets value) { add(Compare{NFT_CMP_EQ, std::move(value)}); }
  void any_bit_of(std::uint32_t bits) {
    add(Bitwise{host_octets(bits)});
    add(Compare{NFT_CMP_NEQ, host_octets(std::uint32_t{0})});
  }

  void need_family(base::Family family) {
    if (family_known_) return;
    family_known_ = true;
    add(MetaLoad{NFT_META_NFPROTO});
    equals({static_cast<std::uint8_t>(family == base::Family::kV4 ? NFPROTO_IPV4 : NFPROTO_IPV6)});
  }
  void need_protocol(Protocol protocol) {
    if (protocol_known_) return;
    protocol_known_ = true;
    add(MetaLoad{NFT_META_L4PROTO});
    equals({static_cast<std::uint8_t>(protocol)});
  }
  // A prefix of whole bytes is compared as that many bytes, without a mask.
  void prefix(const base::Cidr& prefix, std::uint32_t offset) {
    const auto address = prefix.address().bytes();
    const auto length = static_cast<std::uint32_t>(prefix.prefix_length());
    if (length % 8 == 0) {
      add(PayloadLoad{NFT_PAYLOAD_NETWORK_HEADER, offset, length / 8});
      return equals({address.begin(), address.begin() + length / 8});
    }
    add(PayloadLoad{NFT_PAYLOAD_NETWORK_HEADER, offset, static_cast<std::uint32_t>(address.size())});
    Octets mask(address.size());
    for (std::uint32_t bit = 0; bit < length; ++bit) mask[bit / 8] |= static_cast<std::uint8_t>(0x80U >> (bit % 8));
    add(Bitwise{std::move(mask)});
    equals({address.begin(), address.end()});
  }
  void one_of(std::vector<Octets> values, std::uint32_t key_type) {
    if (values.size() == 1) return equals(std::move(values.front()));
    add(Lookup{key_type, std::move(values)});
  }

  void lower(const InputInterface& m) {
    add(MetaLoad{NFT_META_IIFNAME});
    add(Compare{m.negated ? NFT_CMP_NEQ : NFT_CMP_EQ, name_octets(m.name)});
  }
  void lower(const OutputInterface& m) {
    add(MetaLoad{NFT_META_OIFNAME});
    add(Compare{m.negated ? NFT_CMP_NEQ : NFT_CMP_EQ, name_octets(m.name)});
  }
  void lower(const FamilyIs& m) { need_family(m.family); }
  void lower(const ProtocolIs& m) { need_protocol(m.protocol); }
  void lower(const SourceIn& m) {
    need_family(m.prefix.address().family());
    prefix(m.prefix, m.prefix.address().is_v4() ? kIpSourceOffset : kIp6SourceOffset);
  }
  void lower(const DestinationIn& m) {
    need_family(m.prefix.address().family());
    prefix(m.prefix, m.prefix.address().is_v4() ? kIpDestinationOffset : kIp6DestinationOffset);
  }
  void lower(const DestinationPorts& m) {
    need_protocol(m.protocol);
    add(PayloadLoad{NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPortOffset, 2});
    std::vector<Octets> values;
    for (const std::uint16_t port : m.ports) values.push_back(network_octets(port));
    one_of(std::move(values), kTypeInetService);
  }
  // As nft writes a range: two comparisons of the same register.
  void lower(const DestinationPortRange& m) {
    need_protocol(m.protocol);
    add(PayloadLoad{NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPortOffset, 2});
    add(Compare{NFT_CMP_GTE, network_octets(m.ports.first)});
    add(Compare{NFT_CMP_LTE, network_octets(m.ports.last)});
  }
  void lower(const ConnectionState& m) {
    add(CtLoad{NFT_CT_STATE});
    any_bit_of(m.any_of);
  }
  void lower(const DestinationWasRedirected&) {
    add(CtLoad{NFT_CT_STATUS});
    any_bit_of(IPS_DST_NAT);
  }
  void lower(const Direction& m) {
    add(CtLoad{NFT_CT_DIRECTION});
    equals({static_cast<std::uint8_t>(m.reply ? 1 : 0)});
  }
  void lower(const ConnectionMark& m) {
    add(CtLoad{NFT_CT_MARK});
    equals(host_octets(m.mark));
  }
  void lower(const PacketMark& m) {
    add(MetaLoad{NFT_META_MARK});
    equals(host_octets(m.mark));
  }
  void lower(const DestinationIsLocal& m) {
    const std::uint32_t interface = m.on_input_interface ? std::uint32_t{NFTA_FIB_F_IIF} : 0U;
    add(FibLoad{NFTA_FIB_F_DADDR | interface, NFT_FIB_RESULT_ADDRTYPE});
    equals(host_octets(kLocalAddress));
  }
  void lower(const SourceIsNotLocal&) {
    add(FibLoad{NFTA_FIB_F_SADDR, NFT_FIB_RESULT_ADDRTYPE});
    add(Compare{NFT_CMP_NEQ, host_octets(kLocalAddress)});
  }
  void lower(const SourceHasNoRouteBack&) {
    add(FibLoad{NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT, NFT_FIB_RESULT_OIF});
    equals(host_octets(std::uint32_t{0}));
  }
  void lower(const IcmpTypeIs& m) {
    const bool v4 = m.protocol == Protocol::kIcmp;
    need_family(v4 ? base::Family::kV4 : base::Family::kV6);
    need_protocol(m.protocol);
    add(PayloadLoad{NFT_PAYLOAD_TRANSPORT_HEADER, kIcmpTypeOffset, 1});
    std::vector<Octets> values;
    for (const std::uint8_t type : m.types) values.push_back({type});
    one_of(std::move(values), v4 ? kTypeIcmp : kTypeIcmpv6);
  }
  void lower(const HasIpOptions&) {
    need_family(base::Family::kV4);
    add(PayloadLoad{NFT_PAYLOAD_NETWORK_HEADER, kIpVersionOffset, 1});
    add(Bitwise{{kHeaderLengthMask}});
    add(Compare{NFT_CMP_GT, {kHeaderWordsWithoutOptions}});
  }
  void lower(const HasRoutingHeader&) {
    need_family(base::Family::kV6);
    add(ExthdrPresent{kRoutingHeader});
    equals({1});
  }
  void lower(const NextHopIs& m) {
    add(RouteLoad{m.address.is_v4() ? NFT_RT_NEXTHOP4 : NFT_RT_NEXTHOP6});
    equals({m.address.bytes().begin(), m.address.bytes().end()});
  }
  void lower(const WithinRate& m) { add(LimitRate{m.per_second, 1, m.burst}); }

  void lower(const Count&) { add(CounterOp{}); }
  void lower(const SetConnectionMark& s) {
    add(Load{host_octets(s.mark)});
    add(CtMarkStore{});
  }
  void lower(const NoTrack&) { add(NoTrackOp{}); }
  void lower(const Accept&) { add(VerdictIs{NF_ACCEPT, {}}); }
  void lower(const Drop&) { add(VerdictIs{NF_DROP, {}}); }
  void lower(const Return&) { add(VerdictIs{NFT_RETURN, {}}); }
  void lower(const Jump& s) { add(VerdictIs{NFT_JUMP, s.chain}); }
  void lower(const RejectWithReset&) { add(RejectOp{NFT_REJECT_TCP_RST, 0}); }
  void lower(const RejectAsProhibited&) { add(RejectOp{NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED}); }
  void lower(const RedirectTo& s) {
    add(Load{network_octets(s.port)});
    add(RedirectOp{NF_NAT_RANGE_PROTO_SPECIFIED});
  }
  void lower(const Queue& s) { add(QueueOp{s.number, 1, 0}); }
  void lower(const CompatQueue& s) {
    const xt_NFQ_info_v3 info{.queuenum = s.number, .queues_total = 1, .flags = 0};
    Octets octets = host_octets(info);
    octets.resize((octets.size() + 7) / 8 * 8);  // XT_ALIGN
    add(TargetOp{"NFQUEUE", kCompatQueueRevision, std::move(octets)});
  }

  std::vector<Expression> out_;
  bool family_known_ = false;
  bool protocol_known_ = false;
};

std::string hex(const Octets& octets) {
  return fmt::format("{:02x}", fmt::join(octets, ""));
}

std::string base_text(const std::optional<BaseChain>& base) {
  if (!base) return "no hook";
  return fmt::format("{} {} {} {}", to_string(base->type), to_string(base->hook), base->priority,
                     to_string(base->policy));
}

std::string rule_text(const ProgramRule& rule) {
  std::vector<std::string> parts;
  for (const Expression& expression : rule.expressions) parts.push_back(to_text(expression));
  if (!rule.comment.empty()) parts.push_back(fmt::format("\"{}\"", rule.comment));
  return fmt::format("{}", fmt::join(parts, " "));
}

void compare_chain(const ProgramChain& intended, const ProgramChain& actual, std::vector<std::string>& lines) {
  if (intended.base != actual.base) {
    lines.push_back(
        fmt::format("chain {}: {} instead of {}", intended.name, base_text(actual.base), base_text(intended.base)));
  }
  const std::size_t common = std::min(intended.rules.size(), actual.rules.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (intended.rules[i] == actual.rules[i]) continue;
    lines.push_back(fmt::format("chain {} rule {}: {} instead of {}", intended.name, i + 1, rule_text(actual.rules[i]),
                                rule_text(intended.rules[i])));
  }
  for (std::size_t i = common; i < intended.rules.size(); ++i) {
    lines.push_back(fmt::format("chain {} rule {}: missing: {}", intended.name, i + 1, rule_text(intended.rules[i])));
  }
  for (std::size_t i = common; i < actual.rules.size(); ++i) {
    lines.push_back(fmt::format("chain {} rule {}: not ours: {}", intended.name, i + 1, rule_text(actual.rules[i])));
  }
}

const ProgramChain* find_chain(const Program& program, const std::string& name) {
  const auto found = std::ranges::find(program.chains, name, &ProgramChain::name);
  return found == program.chains.end() ? nullptr : &*found;
}

}  // namespace

std::vector<Expression> lower(const Rule& rule) {
  return RuleLowering().run(rule);
}

Program lower(const Ruleset& ruleset) {
  Program program{.table = ruleset.table, .table_flags = 0, .chains = {}, .foreign = {}};
  for (const Chain& chain : ruleset.chains) {
    ProgramChain& lowered = program.chains.emplace_back(ProgramChain{chain.name, chain.base, {}});
    for (const Rule& rule : chain.rules) lowered.rules.push_back({lower(rule), rule.comment});
  }
  return program;
}

std::string to_text(const Expression& expression) {
  return std::visit(
      Overloaded{
          [](const MetaLoad& e) { return fmt::format("[meta {}]", e.key); },
          [](const PayloadLoad& e) { return fmt::format("[payload {}b @ {}+{}]", e.length, e.base, e.offset); },
          [](const ExthdrPresent& e) { return fmt::format("[exthdr {} present]", e.type); },
          [](const CtLoad& e) { return fmt::format("[ct {}]", e.key); },
          [](const CtMarkStore&) { return std::string("[ct set mark]"); },
          [](const FibLoad& e) { return fmt::format("[fib {:#x} {}]", e.flags, e.result); },
          [](const RouteLoad& e) { return fmt::format("[rt {}]", e.key); },
          [](const Bitwise& e) { return fmt::format("[and {}]", hex(e.mask)); },
          [](const Compare& e) { return fmt::format("[cmp {} {}]", e.op, hex(e.value)); },
          [](const Lookup& e) {
            std::vector<std::string> elements;
            for (const Octets& element : e.elements) elements.push_back(hex(element));
            return fmt::format("[lookup {{ {} }}]", fmt::join(elements, ", "));
          },
          [](const Load& e) { return fmt::format("[load {}]", hex(e.value)); },
          [](const VerdictIs& e) {
            return fmt::format("[verdict {}{}{}]", e.code, e.chain.empty() ? "" : " ", e.chain);
          },
          [](const LimitRate& e) { return fmt::format("[limit {}/{}s burst {}]", e.rate, e.unit_s, e.burst); },
          [](const CounterOp&) { return std::string("[counter]"); },
          [](const NoTrackOp&) { return std::string("[notrack]"); },
          [](const RejectOp& e) { return fmt::format("[reject {} {}]", e.type, e.code); },
          [](const RedirectOp& e) { return fmt::format("[redirect flags {}]", e.flags); },
          [](const QueueOp& e) { return fmt::format("[queue {} total {} flags {}]", e.number, e.total, e.flags); },
          [](const TargetOp& e) { return fmt::format("[target {} rev {} {}]", e.name, e.revision, hex(e.info)); },
          [](const ForeignOp& e) { return e.text; },
      },
      expression);
}

std::vector<std::string> difference(const Program& intended, const Program& actual) {
  std::vector<std::string> lines;
  if (intended.table_flags != actual.table_flags) {
    lines.push_back(
        fmt::format("table {}: flags {} instead of {}", intended.table, actual.table_flags, intended.table_flags));
  }
  for (const ProgramChain& chain : intended.chains) {
    const ProgramChain* found = find_chain(actual, chain.name);
    if (found == nullptr) {
      lines.push_back(fmt::format("chain {}: missing", chain.name));
    } else {
      compare_chain(chain, *found, lines);
    }
  }
  for (const ProgramChain& chain : actual.chains) {
    if (find_chain(intended, chain.name) == nullptr) lines.push_back(fmt::format("chain {}: not ours", chain.name));
  }
  for (const std::string& object : actual.foreign) lines.push_back(fmt::format("{}: not ours", object));
  return lines;
}

}  // namespace soleroute::netrules
