// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/nftnl_codec.h"

#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "netrules/variant.h"

namespace soleroute::netrules {
namespace {

constexpr std::uint32_t kDataRegister = NFT_REG_1;
constexpr const char* kAnonymousSetName = "__set%d";  // the kernel fills in the number
constexpr std::size_t kMaxUserdata = 256;             // NFT_USERDATA_MAXLEN

struct UdataDeleter {
  void operator()(nftnl_udata_buf* buffer) const { nftnl_udata_buf_free(buffer); }
};

// --- Program to libnftnl ---

class RuleEncoder {
 public:
  RuleEncoder(nftnl_rule& rule, std::uint32_t next_set_id) : rule_(rule), next_set_id_(next_set_id) {}

  void operator()(const MetaLoad& e) { load("meta", NFTNL_EXPR_META_DREG, NFTNL_EXPR_META_KEY, e.key); }
  void operator()(const PayloadLoad& e) {
    nftnl_expr* expr = begin("payload");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, kDataRegister);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, e.base);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, e.offset);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, e.length);
  }
  void operator()(const ExthdrPresent& e) {
    nftnl_expr* expr = begin("exthdr");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_DREG, kDataRegister);
    nftnl_expr_set_u8(expr, NFTNL_EXPR_EXTHDR_TYPE, static_cast<std::uint8_t>(e.type));
    nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_OFFSET, 0);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_LEN, 1);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_IPV6);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
  }
  void operator()(const CtLoad& e) { load("ct", NFTNL_EXPR_CT_DREG, NFTNL_EXPR_CT_KEY, e.key); }
  void operator()(const CtMarkStore&) { load("ct", NFTNL_EXPR_CT_SREG, NFTNL_EXPR_CT_KEY, NFT_CT_MARK); }
  void operator()(const FibLoad& e) {
    nftnl_expr* expr = begin("fib");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_DREG, kDataRegister);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_FLAGS, e.flags);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_FIB_RESULT, e.result);
  }
  void operator()(const RouteLoad& e) { load("rt", NFTNL_EXPR_RT_DREG, NFTNL_EXPR_RT_KEY, e.key); }
  void operator()(const Bitwise& e) {
    const Octets zero(e.mask.size());
    nftnl_expr* expr = begin("bitwise");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, kDataRegister);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, kDataRegister);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, static_cast<std::uint32_t>(e.mask.size()));
    set_data(expr, NFTNL_EXPR_BITWISE_MASK, e.mask);
    set_data(expr, NFTNL_EXPR_BITWISE_XOR, zero);
  }
  void operator()(const Compare& e) {
    nftnl_expr* expr = begin("cmp");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, kDataRegister);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, e.op);
    set_data(expr, NFTNL_EXPR_CMP_DATA, e.value);
  }
  void operator()(const Lookup&) {
    nftnl_expr* expr = begin("lookup");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, kDataRegister);
    nftnl_expr_set_str(expr, NFTNL_EXPR_LOOKUP_SET, kAnonymousSetName);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SET_ID, next_set_id_++);
  }
  void operator()(const Load& e) {
    nftnl_expr* expr = begin("immediate");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, kDataRegister);
    set_data(expr, NFTNL_EXPR_IMM_DATA, e.value);
  }
  void operator()(const VerdictIs& e) {
    nftnl_expr* expr = begin("immediate");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(e.code));
    if (!e.chain.empty()) nftnl_expr_set_str(expr, NFTNL_EXPR_IMM_CHAIN, e.chain.c_str());
  }
  void operator()(const LimitRate& e) {
    nftnl_expr* expr = begin("limit");
    nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_RATE, e.rate);
    nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_UNIT, e.unit_s);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_BURST, e.burst);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_LIMIT_FLAGS, 0);
  }
  void operator()(const CounterOp&) { begin("counter"); }
  void operator()(const NoTrackOp&) { begin("notrack"); }
  void operator()(const RejectOp& e) {
    nftnl_expr* expr = begin("reject");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_REJECT_TYPE, e.type);
    nftnl_expr_set_u8(expr, NFTNL_EXPR_REJECT_CODE, e.code);
  }
  void operator()(const RedirectOp& e) {
    nftnl_expr* expr = begin("redir");
    nftnl_expr_set_u32(expr, NFTNL_EXPR_REDIR_REG_PROTO_MIN, kDataRegister);
    nftnl_expr_set_u32(expr, NFTNL_EXPR_REDIR_FLAGS, e.flags);
  }
  void operator()(const QueueOp& e) {
    nftnl_expr* expr = begin("queue");
    nftnl_expr_set_u16(expr, NFTNL_EXPR_QUEUE_NUM, e.number);
    nftnl_expr_set_u16(expr, NFTNL_EXPR_QUEUE_TOTAL, e.total);
    nftnl_expr_set_u16(expr, NFTNL_EXPR_QUEUE_FLAGS, e.flags);
  }
  void operator()(const TargetOp& e) {
    nftnl_expr* expr = begin("target");
    nftnl_expr_set_str(expr, NFTNL_EXPR_TG_NAME, e.name.c_str());
    nftnl_expr_set_u32(expr, NFTNL_EXPR_TG_REV, e.revision);
    // libnftnl takes the block over and frees it with free().
    void* info = std::calloc(1, e.info.size());
    if (info == nullptr) return;
    std::memcpy(info, e.info.data(), e.info.size());
    nftnl_expr_set(expr, NFTNL_EXPR_TG_INFO, info, static_cast<std::uint32_t>(e.info.size()));
  }
  void operator()(const ForeignOp&) {}  // never programmed: lower() does not make it

 private:
  nftnl_expr* begin(const char* name) {
    nftnl_expr* expr = nftnl_expr_alloc(name);  // owned by the rule from here on
    nftnl_rule_add_expr(&rule_, expr);
    return expr;
  }
  void load(const char* name, std::uint16_t register_attribute, std::uint16_t key_attribute, std::uint32_t key) {
    nftnl_expr* expr = begin(name);
    nftnl_expr_set_u32(expr, register_attribute, kDataRegister);
    nftnl_expr_set_u32(expr, key_attribute, key);
  }
  static void set_data(nftnl_expr* expr, std::uint16_t attribute, const Octets& octets) {
    nftnl_expr_set(expr, attribute, octets.data(), static_cast<std::uint32_t>(octets.size()));
  }

  nftnl_rule& rule_;
  std::uint32_t next_set_id_;
};

// --- libnftnl to Program ---

Octets data_of(const nftnl_expr* expr, std::uint16_t attribute) {
  std::uint32_t length = 0;
  const void* data = nftnl_expr_get(expr, attribute, &length);
  if (data == nullptr) return {};
  const auto* octets = static_cast<const std::uint8_t*>(data);
  return {octets, octets + length};
}

bool is_register(const nftnl_expr* expr, std::uint16_t attribute) {
  return nftnl_expr_get_u32(expr, attribute) == kDataRegister;
}

std::optional<Expression> decode_load(std::string_view name, const nftnl_expr* e) {
  if (name == "meta" && is_register(e, NFTNL_EXPR_META_DREG))
    return MetaLoad{nftnl_expr_get_u32(e, NFTNL_EXPR_META_KEY)};
  if (name == "payload" && is_register(e, NFTNL_EXPR_PAYLOAD_DREG)) {
    return PayloadLoad{nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_BASE), nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET),
                       nftnl_expr_get_u32(e, NFTNL_EXPR_PAYLOAD_LEN)};
  }
  if (name == "exthdr" && nftnl_expr_get_u32(e, NFTNL_EXPR_EXTHDR_FLAGS) == NFT_EXTHDR_F_PRESENT &&
      nftnl_expr_get_u32(e, NFTNL_EXPR_EXTHDR_OP) == NFT_EXTHDR_OP_IPV6 && is_register(e, NFTNL_EXPR_EXTHDR_DREG)) {
    return ExthdrPresent{nftnl_expr_get_u8(e, NFTNL_EXPR_EXTHDR_TYPE)};
  }
  if (name == "ct" && nftnl_expr_is_set(e, NFTNL_EXPR_CT_DREG) && !nftnl_expr_is_set(e, NFTNL_EXPR_CT_DIR)) {
    return CtLoad{nftnl_expr_get_u32(e, NFTNL_EXPR_CT_KEY)};
  }
  if (name == "ct" && nftnl_expr_is_set(e, NFTNL_EXPR_CT_SREG) &&
      nftnl_expr_get_u32(e, NFTNL_EXPR_CT_KEY) == NFT_CT_MARK) {
    return CtMarkStore{};
  }
  if (name == "fib" && is_register(e, NFTNL_EXPR_FIB_DREG)) {
    return FibLoad{nftnl_expr_get_u32(e, NFTNL_EXPR_FIB_FLAGS), nftnl_expr_get_u32(e, NFTNL_EXPR_FIB_RESULT)};
  }
  if (name == "rt" && is_register(e, NFTNL_EXPR_RT_DREG)) return RouteLoad{nftnl_expr_get_u32(e, NFTNL_EXPR_RT_KEY)};
  return std::nullopt;
}

std::optional<Expression> decode_immediate(const nftnl_expr* e) {
  if (nftnl_expr_get_u32(e, NFTNL_EXPR_IMM_DREG) != NFT_REG_VERDICT) return Load{data_of(e, NFTNL_EXPR_IMM_DATA)};
  const char* chain = nftnl_expr_get_str(e, NFTNL_EXPR_IMM_CHAIN);
  return VerdictIs{static_cast<std::int32_t>(nftnl_expr_get_u32(e, NFTNL_EXPR_IMM_VERDICT)),
                   chain == nullptr ? "" : chain};
}

std::optional<Expression> decode_test(std::string_view name, const nftnl_expr* e, const SetElements& sets) {
  if (name == "bitwise" && nftnl_expr_get_u32(e, NFTNL_EXPR_BITWISE_OP) == NFT_BITWISE_BOOL) {
    const Octets xor_value = data_of(e, NFTNL_EXPR_BITWISE_XOR);
    if (std::ranges::any_of(xor_value, [](std::uint8_t octet) { return octet != 0; })) return std::nullopt;
    return Bitwise{data_of(e, NFTNL_EXPR_BITWISE_MASK)};
  }
  if (name == "cmp") return Compare{nftnl_expr_get_u32(e, NFTNL_EXPR_CMP_OP), data_of(e, NFTNL_EXPR_CMP_DATA)};
  if (name == "immediate") return decode_immediate(e);
  if (name == "lookup" && nftnl_expr_get_u32(e, NFTNL_EXPR_LOOKUP_FLAGS) == 0) {
    const char* set = nftnl_expr_get_str(e, NFTNL_EXPR_LOOKUP_SET);
    const auto found = sets.find(set == nullptr ? "" : set);
    if (found != sets.end()) return found->second;
  }
  return std::nullopt;
}

std::optional<Expression> decode_action(std::string_view name, const nftnl_expr* e) {
  if (name == "limit" && nftnl_expr_get_u32(e, NFTNL_EXPR_LIMIT_TYPE) == NFT_LIMIT_PKTS &&
      nftnl_expr_get_u32(e, NFTNL_EXPR_LIMIT_FLAGS) == 0) {
    return LimitRate{nftnl_expr_get_u64(e, NFTNL_EXPR_LIMIT_RATE), nftnl_expr_get_u64(e, NFTNL_EXPR_LIMIT_UNIT),
                     nftnl_expr_get_u32(e, NFTNL_EXPR_LIMIT_BURST)};
  }
  if (name == "counter") return CounterOp{};
  if (name == "notrack") return NoTrackOp{};
  if (name == "reject") {
    return RejectOp{nftnl_expr_get_u32(e, NFTNL_EXPR_REJECT_TYPE), nftnl_expr_get_u8(e, NFTNL_EXPR_REJECT_CODE)};
  }
  if (name == "redir" && nftnl_expr_get_u32(e, NFTNL_EXPR_REDIR_REG_PROTO_MIN) == kDataRegister) {
    return RedirectOp{nftnl_expr_get_u32(e, NFTNL_EXPR_REDIR_FLAGS)};
  }
  if (name == "queue") {
    return QueueOp{nftnl_expr_get_u16(e, NFTNL_EXPR_QUEUE_NUM), nftnl_expr_get_u16(e, NFTNL_EXPR_QUEUE_TOTAL),
                   nftnl_expr_get_u16(e, NFTNL_EXPR_QUEUE_FLAGS)};
  }
  if (name == "target") {
    const char* target = nftnl_expr_get_str(e, NFTNL_EXPR_TG_NAME);
    return TargetOp{target == nullptr ? "" : target, nftnl_expr_get_u32(e, NFTNL_EXPR_TG_REV),
                    data_of(e, NFTNL_EXPR_TG_INFO)};
  }
  return std::nullopt;
}

Expression decode_expression(const nftnl_expr* e, const SetElements& sets) {
  const char* raw_name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
  const std::string_view name = raw_name == nullptr ? "" : raw_name;
  if (auto decoded = decode_load(name, e)) return *decoded;
  if (auto decoded = decode_test(name, e, sets)) return *decoded;
  if (auto decoded = decode_action(name, e)) return *decoded;
  std::array<char, 512> text{};
  nftnl_expr_snprintf(text.data(), text.size(), e, NFTNL_OUTPUT_DEFAULT, 0);
  return ForeignOp{std::string("[ ") + std::string(name) + " " + text.data() + "]"};
}

int take_comment(const nftnl_udata* attribute, void* data) {
  auto& comment = *static_cast<std::string*>(data);
  if (nftnl_udata_type(attribute) != NFTNL_UDATA_RULE_COMMENT) return 0;
  const auto* text = static_cast<const char*>(nftnl_udata_get(attribute));
  comment.assign(text, strnlen(text, nftnl_udata_len(attribute)));
  return 0;
}

}  // namespace

void NftnlDeleter::operator()(nftnl_table* table) const {
  nftnl_table_free(table);
}
void NftnlDeleter::operator()(nftnl_chain* chain) const {
  nftnl_chain_free(chain);
}
void NftnlDeleter::operator()(nftnl_rule* rule) const {
  nftnl_rule_free(rule);
}
void NftnlDeleter::operator()(nftnl_set* set) const {
  nftnl_set_free(set);
}

NftnlPtr<nftnl_table> encode_table(const std::string& table) {
  NftnlPtr<nftnl_table> object(nftnl_table_alloc());
  nftnl_table_set_str(object.get(), NFTNL_TABLE_NAME, table.c_str());
  nftnl_table_set_u32(object.get(), NFTNL_TABLE_FAMILY, NFPROTO_INET);
  return object;
}

NftnlPtr<nftnl_chain> encode_chain(const std::string& table, const ProgramChain& chain) {
  NftnlPtr<nftnl_chain> object(nftnl_chain_alloc());
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
  if (!chain.base) return object;
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TYPE, std::string(to_string(chain.base->type)).c_str());
  nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_HOOKNUM, static_cast<std::uint32_t>(chain.base->hook));
  nftnl_chain_set_s32(object.get(), NFTNL_CHAIN_PRIO, chain.base->priority);
  nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_POLICY, static_cast<std::uint32_t>(chain.base->policy));
  return object;
}

NftnlPtr<nftnl_set> encode_set(const std::string& table, const Lookup& lookup, std::uint32_t id) {
  NftnlPtr<nftnl_set> object(nftnl_set_alloc());
  nftnl_set_set_str(object.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(object.get(), NFTNL_SET_NAME, kAnonymousSetName);
  nftnl_set_set_u32(object.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_u32(object.get(), NFTNL_SET_ID, id);
  nftnl_set_set_u32(object.get(), NFTNL_SET_FLAGS, NFT_SET_ANONYMOUS | NFT_SET_CONSTANT);
  nftnl_set_set_u32(object.get(), NFTNL_SET_KEY_TYPE, lookup.key_type);
  nftnl_set_set_u32(object.get(), NFTNL_SET_KEY_LEN, static_cast<std::uint32_t>(lookup.elements.front().size()));
  nftnl_set_set_u32(object.get(), NFTNL_SET_DESC_SIZE, static_cast<std::uint32_t>(lookup.elements.size()));
  for (const Octets& element : lookup.elements) {
    nftnl_set_elem* item = nftnl_set_elem_alloc();  // owned by the set from nftnl_set_elem_add() on
    nftnl_set_elem_set(item, NFTNL_SET_ELEM_KEY, element.data(), static_cast<std::uint32_t>(element.size()));
    nftnl_set_elem_add(object.get(), item);
  }
  return object;
}

NftnlPtr<nftnl_rule> encode_rule(const std::string& table, const std::string& chain, const ProgramRule& rule,
                                 std::uint32_t first_set_id) {
  NftnlPtr<nftnl_rule> object(nftnl_rule_alloc());
  nftnl_rule_set_str(object.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(object.get(), NFTNL_RULE_CHAIN, chain.c_str());
  nftnl_rule_set_u32(object.get(), NFTNL_RULE_FAMILY, NFPROTO_INET);
  RuleEncoder encoder(*object, first_set_id);
  for (const Expression& expression : rule.expressions) std::visit(encoder, expression);
  if (rule.comment.empty()) return object;
  const std::unique_ptr<nftnl_udata_buf, UdataDeleter> udata(nftnl_udata_buf_alloc(kMaxUserdata));
  nftnl_udata_put_strz(udata.get(), NFTNL_UDATA_RULE_COMMENT, rule.comment.c_str());
  nftnl_rule_set_data(object.get(), NFTNL_RULE_USERDATA, nftnl_udata_buf_data(udata.get()),
                      nftnl_udata_buf_len(udata.get()));
  return object;
}

ProgramChain decode_chain(const nftnl_chain& chain) {
  ProgramChain decoded{nftnl_chain_get_str(&chain, NFTNL_CHAIN_NAME), std::nullopt, {}};
  if (!nftnl_chain_is_set(&chain, NFTNL_CHAIN_HOOKNUM)) return decoded;
  const char* raw_type = nftnl_chain_get_str(&chain, NFTNL_CHAIN_TYPE);
  const std::string_view type = raw_type == nullptr ? "" : raw_type;
  if (type != "nat" && type != "filter") return decoded;  // none of ours: differs from every intent
  decoded.base =
      BaseChain{type == "nat" ? ChainType::kNat : ChainType::kFilter,
                static_cast<Hook>(nftnl_chain_get_u32(&chain, NFTNL_CHAIN_HOOKNUM)),
                nftnl_chain_get_s32(&chain, NFTNL_CHAIN_PRIO),
                nftnl_chain_get_u32(&chain, NFTNL_CHAIN_POLICY) == NF_DROP ? ChainPolicy::kDrop : ChainPolicy::kAccept};
  return decoded;
}

Lookup decode_set(const nftnl_set& set) {
  Lookup lookup{nftnl_set_get_u32(&set, NFTNL_SET_KEY_TYPE), {}};
  const auto take = [](nftnl_set_elem* element, void* data) {
    std::uint32_t length = 0;
    const auto* key = static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length));
    if (key != nullptr) static_cast<Lookup*>(data)->elements.emplace_back(key, key + length);
    return 0;
  };
  auto* mutable_set = const_cast<nftnl_set*>(&set);  // libnftnl's iteration is not const-correct
  nftnl_set_elem_foreach(mutable_set, take, &lookup);
  std::ranges::sort(lookup.elements);
  return lookup;
}

ProgramRule decode_rule(const nftnl_rule& rule, const SetElements& sets) {
  ProgramRule decoded;
  struct Context {
    ProgramRule& rule;
    const SetElements& sets;
  } context{decoded, sets};
  const auto take = [](nftnl_expr* expr, void* data) {
    auto& to = *static_cast<Context*>(data);
    to.rule.expressions.push_back(decode_expression(expr, to.sets));
    return 0;
  };
  auto* mutable_rule = const_cast<nftnl_rule*>(&rule);  // libnftnl's iteration is not const-correct
  nftnl_expr_foreach(mutable_rule, take, &context);
  std::uint32_t length = 0;
  const void* udata = nftnl_rule_get_data(&rule, NFTNL_RULE_USERDATA, &length);
  if (udata != nullptr) nftnl_udata_parse(udata, length, take_comment, &decoded.comment);
  return decoded;
}

}  // namespace soleroute::netrules
