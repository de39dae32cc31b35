// The kernel's view of a ruleset: the nf_tables expressions of each rule, as values that compare.
// Pure. lower() makes it from the model, the kernel file reads it back, difference() compares the two.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "netrules/ruleset.h"

namespace soleroute::netrules {

using Octets = std::vector<std::uint8_t>;  // as the kernel sees them: network order for packet fields, else the host's

// All load into and read from data register 1, as nft does. Numbers are those of linux/netfilter/nf_tables.h.
struct MetaLoad {
  std::uint32_t key = 0;
  bool operator==(const MetaLoad&) const = default;
};
struct PayloadLoad {
  std::uint32_t base = 0, offset = 0, length = 0;
  bool operator==(const PayloadLoad&) const = default;
};
struct ExthdrPresent {
  std::uint32_t type = 0;
  bool operator==(const ExthdrPresent&) const = default;
};
struct CtLoad {
  std::uint32_t key = 0;
  bool operator==(const CtLoad&) const = default;
};
struct CtMarkStore {
  bool operator==(const CtMarkStore&) const = default;
};
struct FibLoad {
  std::uint32_t flags = 0, result = 0;
  bool operator==(const FibLoad&) const = default;
};
struct RouteLoad {
  std::uint32_t key = 0;
  bool operator==(const RouteLoad&) const = default;
};
struct Bitwise {
  Octets mask;  // and; the xor value is zero
  bool operator==(const Bitwise&) const = default;
};
struct Compare {
  std::uint32_t op = 0;
  Octets value;
  bool operator==(const Compare&) const = default;
};
struct Lookup {                  // in an anonymous constant set
  std::uint32_t key_type = 0;    // nft's data type number, for its listing
  std::vector<Octets> elements;  // sorted
  bool operator==(const Lookup&) const = default;
};
struct Load {  // immediate data
  Octets value;
  bool operator==(const Load&) const = default;
};
struct VerdictIs {
  std::int32_t code = 0;
  std::string chain;
  bool operator==(const VerdictIs&) const = default;
};
struct LimitRate {
  std::uint64_t rate = 0, unit_s = 0;
  std::uint32_t burst = 0;
  bool operator==(const LimitRate&) const = default;
};
struct CounterOp {
  bool operator==(const CounterOp&) const = default;
};
struct NoTrackOp {
  bool operator==(const NoTrackOp&) const = default;
};
struct RejectOp {
  std::uint32_t type = 0;
  std::uint8_t code = 0;
  bool operator==(const RejectOp&) const = default;
};
struct RedirectOp {  // port from the register
  std::uint32_t flags = 0;
  bool operator==(const RedirectOp&) const = default;
};
struct QueueOp {
  std::uint16_t number = 0, total = 1, flags = 0;
  bool operator==(const QueueOp&) const = default;
};
struct TargetOp {  // an xtables target
  std::string name;
  std::uint32_t revision = 0;
  Octets info;
  bool operator==(const TargetOp&) const = default;
};
struct ForeignOp {  // read back, but nothing that lower() makes
  std::string text;
  bool operator==(const ForeignOp&) const = default;
};

using Expression = std::variant<MetaLoad, PayloadLoad, ExthdrPresent, CtLoad, CtMarkStore, FibLoad, RouteLoad, Bitwise,
                                Compare, Lookup, Load, VerdictIs, LimitRate, CounterOp, NoTrackOp, RejectOp, RedirectOp,
                                QueueOp, TargetOp, ForeignOp>;

struct ProgramRule {
  std::vector<Expression> expressions;
  std::string comment;
  bool operator==(const ProgramRule&) const = default;
};
struct ProgramChain {
  std::string name;
  std::optional<BaseChain> base;
  std::vector<ProgramRule> rules;
  bool operator==(const ProgramChain&) const = default;
};
struct Program {
  std::string table;
  std::uint32_t table_flags = 0;  // a dormant table filters nothing
  std::vector<ProgramChain> chains;
  std::vector<std::string> foreign;  // objects in the table that lower() never makes
  bool operator==(const Program&) const = default;
};

// Precondition: validate(ruleset).
[[nodiscard]] Program lower(const Ruleset& ruleset);
[[nodiscard]] std::vector<Expression> lower(const Rule& rule);
// One expression a line, close to `nft --debug=netlink`: for messages.
[[nodiscard]] std::string to_text(const Expression& expression);
// One line for each difference; empty when the kernel holds what was intended.
[[nodiscard]] std::vector<std::string> difference(const Program& intended, const Program& actual);

}  // namespace soleroute::netrules
