// nftables rules as plain values in closed variants: one inet table, its chains, their rules.
// Pure and copyable; text, JSON, expressions, evaluation and validation are visitors over these types.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ip_address.h"
#include "base/port_range.h"
#include "base/result.h"

namespace soleroute::netrules {

enum class Protocol : std::uint8_t { kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpv6 = 58 };  // IANA protocol numbers

// --- What a rule asks of a packet. All matches of a rule must hold; the comment is the nft syntax. ---

struct InputInterface {  // iifname "in0" | iifname != "in0"
  std::string name;
  bool negated = false;
  bool operator==(const InputInterface&) const = default;
};
struct OutputInterface {  // oifname "lo" | oifname != "lo"
  std::string name;
  bool negated = false;
  bool operator==(const OutputInterface&) const = default;
};
struct FamilyIs {  // meta nfproto ipv4
  base::Family family = base::Family::kV4;
  bool operator==(const FamilyIs&) const = default;
};
struct ProtocolIs {  // meta l4proto tcp
  Protocol protocol = Protocol::kTcp;
  bool operator==(const ProtocolIs&) const = default;
};
struct SourceIn {  // ip saddr 10.0.0.0/8 | ip6 saddr …
  base::Cidr prefix;
  bool operator==(const SourceIn&) const = default;
};
struct DestinationIn {  // ip daddr 10.0.0.0/8 | ip6 daddr …
  base::Cidr prefix;
  bool operator==(const DestinationIn&) const = default;
};
struct DestinationPorts {              // tcp dport 53 | udp dport { 53, 443 }
  Protocol protocol = Protocol::kTcp;  // TCP or UDP
  std::vector<std::uint16_t> ports;    // sorted, unique, never empty
  bool operator==(const DestinationPorts&) const = default;
};
struct DestinationPortRange {          // tcp dport 8000-8100
  Protocol protocol = Protocol::kTcp;  // TCP or UDP
  base::PortRange ports{};             // more than one
  bool operator==(const DestinationPortRange&) const = default;
};
struct ConnectionState {  // ct state established,related
  // The kernel's bits (NF_CT_STATE_BIT).
  static constexpr std::uint8_t kInvalid = 1, kEstablished = 2, kRelated = 4, kNew = 8, kUntracked = 64;
  std::uint8_t any_of = 0;
  bool operator==(const ConnectionState&) const = default;
};
struct DestinationWasRedirected {  // ct status dnat
  bool operator==(const DestinationWasRedirected&) const = default;
};
struct Direction {  // ct direction reply
  bool reply = false;
  bool operator==(const Direction&) const = default;
};
struct ConnectionMark {  // ct mark 0x00000010
  std::uint32_t mark = 0;
  bool operator==(const ConnectionMark&) const = default;
};
struct PacketMark {  // meta mark 0x00000010
  std::uint32_t mark = 0;
  bool operator==(const PacketMark&) const = default;
};
struct DestinationIsLocal {  // fib daddr type local | fib daddr . iif type local
  bool on_input_interface = false;
  bool operator==(const DestinationIsLocal&) const = default;
};
struct SourceIsNotLocal {  // fib saddr type != local
  bool operator==(const SourceIsNotLocal&) const = default;
};
struct SourceHasNoRouteBack {  // fib saddr . iif oif missing
  bool operator==(const SourceHasNoRouteBack&) const = default;
};
struct IcmpTypeIs {                     // icmp type echo-request | icmpv6 type { … }
  Protocol protocol = Protocol::kIcmp;  // ICMP or ICMPv6
  std::vector<std::uint8_t> types;      // sorted, unique, never empty
  bool operator==(const IcmpTypeIs&) const = default;
};
struct HasIpOptions {  // ip hdrlength > 5
  bool operator==(const HasIpOptions&) const = default;
};
struct HasRoutingHeader {  // exthdr rt exists
  bool operator==(const HasRoutingHeader&) const = default;
};
struct NextHopIs {  // rt ip nexthop 192.0.2.1 | rt ip6 nexthop …
  base::IpAddress address;
  bool operator==(const NextHopIs&) const = default;
};
struct WithinRate {  // limit rate 50/second burst 100 packets
  std::uint32_t per_second = 0;
  std::uint32_t burst = 0;
  bool operator==(const WithinRate&) const = default;
};

using Match = std::variant<InputInterface, OutputInterface, FamilyIs, ProtocolIs, SourceIn, DestinationIn,
                           DestinationPorts, DestinationPortRange, ConnectionState, DestinationWasRedirected, Direction,
                           ConnectionMark, PacketMark, DestinationIsLocal, SourceIsNotLocal, SourceHasNoRouteBack,
                           IcmpTypeIs, HasIpOptions, HasRoutingHeader, NextHopIs, WithinRate>;

// --- What it does then. The last statement of a rule may end the packet's way through the chain. ---

struct Count {  // counter
  bool operator==(const Count&) const = default;
};
struct SetConnectionMark {  // ct mark set 0x00000010
  std::uint32_t mark = 0;
  bool operator==(const SetConnectionMark&) const = default;
};
struct NoTrack {  // notrack
  bool operator==(const NoTrack&) const = default;
};
struct Accept {  // accept: on to the next base chain of the hook
  bool operator==(const Accept&) const = default;
};
struct Drop {  // drop
  bool operator==(const Drop&) const = default;
};
struct Return {  // return: on in the chain that jumped here
  bool operator==(const Return&) const = default;
};
struct Jump {  // jump wanted
  std::string chain;
  bool operator==(const Jump&) const = default;
};
struct RejectWithReset {  // reject with tcp reset
  bool operator==(const RejectWithReset&) const = default;
};
struct RejectAsProhibited {  // reject with icmpx admin-prohibited
  bool operator==(const RejectAsProhibited&) const = default;
};
struct RedirectTo {  // redirect to :15001
  std::uint16_t port = 0;
  bool operator==(const RedirectTo&) const = default;
};
// Hands the packet to a program; dropped if none listens. What it accepts goes on to the next base chain of the hook.
struct Queue {  // queue to 19
  std::uint16_t number = 0;
  bool operator==(const Queue&) const = default;
};
struct CompatQueue {  // the same through the xtables NFQUEUE target, for kernels without the native expression
  std::uint16_t number = 0;
  bool operator==(const CompatQueue&) const = default;
};

using Statement = std::variant<Count, SetConnectionMark, NoTrack, Accept, Drop, Return, Jump, RejectWithReset,
                               RejectAsProhibited, RedirectTo, Queue, CompatQueue>;

struct Rule {
  std::vector<Match> matches;
  std::vector<Statement> statements;
  std::string comment;  // at most kMaxComment bytes; no quotes, no control characters
  bool operator==(const Rule&) const = default;
};

enum class Hook : std::uint8_t { kPrerouting, kInput, kForward, kOutput, kPostrouting };  // NF_INET_* numbers
enum class ChainType : std::uint8_t { kFilter, kNat };
enum class ChainPolicy : std::uint8_t { kDrop, kAccept };  // NF_DROP, NF_ACCEPT

struct BaseChain {  // what hooks a chain into the packet's path
  ChainType type = ChainType::kFilter;
  Hook hook = Hook::kInput;
  std::int32_t priority = 0;
  ChainPolicy policy = ChainPolicy::kDrop;
  bool operator==(const BaseChain&) const = default;
};

struct Chain {
  std::string name;
  std::optional<BaseChain> base;  // absent: a regular chain, reached by jump
  std::vector<Rule> rules;
  bool operator==(const Chain&) const = default;
};

struct Ruleset {
  std::string table;  // family inet
  std::vector<Chain> chains;
  bool operator==(const Ruleset&) const = default;
};

// Chain priorities in the order in which the kernel visits them (linux/netfilter_ipv4.h).
inline constexpr std::int32_t kPriorityRaw = -300;     // before connection tracking
inline constexpr std::int32_t kPriorityMangle = -150;  // behind connection tracking, before every translation
inline constexpr std::int32_t kPriorityDstNat = -100;  // where other programs' redirects stand
inline constexpr std::int32_t kPriorityFilter = 0;

inline constexpr std::size_t kMaxComment = 127;       // nft refuses longer ones
inline constexpr std::size_t kMaxInterfaceName = 15;  // IFNAMSIZ less its NUL
inline constexpr std::size_t kMaxName = 64;           // ours; the kernel's bound is 255

[[nodiscard]] std::string_view to_string(Hook hook);
[[nodiscard]] std::string_view to_string(ChainType type);
[[nodiscard]] std::string_view to_string(ChainPolicy policy);
[[nodiscard]] std::string_view to_string(Protocol protocol);
// "raw", "dstnat - 10", "filter", "-110": as nft prints it for this hook.
[[nodiscard]] std::string priority_text(std::int32_t priority, Hook hook);
// nft's name of an ICMP or ICMPv6 type, or its number.
[[nodiscard]] std::string icmp_type_text(Protocol protocol, std::uint8_t type);
// "ip" or "ip6", before an address.
[[nodiscard]] std::string_view ip_keyword(base::Family family);
// nft's names of the states, in nft's order.
[[nodiscard]] std::vector<std::string_view> state_names(std::uint8_t any_of);

// One rule, or all, exactly as `nft -s list table` prints it after programming. A rule that nft cannot write down
// (the compat queue) becomes a comment line, so that the text always loads.
[[nodiscard]] std::string to_text(const Rule& rule);
[[nodiscard]] std::string to_text(const Ruleset& ruleset);
// The same as a libnftables JSON command list: replaces the table, and loads with `nft -j -f -`.
[[nodiscard]] std::string to_json(const Ruleset& ruleset);

// Refuses what nft or the kernel would refuse, what could never match, and what would be read in two ways.
[[nodiscard]] base::Status validate(const Ruleset& ruleset);

}  // namespace soleroute::netrules
