// Translates programs to and from libnftnl's objects: the only place that knows libnftnl's attributes.
// Opens nothing; the handles own what libnftnl allocates.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "netrules/program.h"

struct nftnl_chain;
struct nftnl_rule;
struct nftnl_set;
struct nftnl_table;

namespace soleroute::netrules {

struct NftnlDeleter {
  void operator()(nftnl_table* table) const;
  void operator()(nftnl_chain* chain) const;
  void operator()(nftnl_rule* rule) const;
  void operator()(nftnl_set* set) const;
};
template <class T>
using NftnlPtr = std::unique_ptr<T, NftnlDeleter>;

// The elements of the sets that rules look up, by set name.
using SetElements = std::map<std::string, Lookup>;

[[nodiscard]] NftnlPtr<nftnl_table> encode_table(const std::string& table);
[[nodiscard]] NftnlPtr<nftnl_chain> encode_chain(const std::string& table, const ProgramChain& chain);
// The anonymous set of one lookup; `id` ties it to the rule within the transaction.
[[nodiscard]] NftnlPtr<nftnl_set> encode_set(const std::string& table, const Lookup& lookup, std::uint32_t id);
// `next_set_id` numbers the rule's lookups in order, as encode_set() was given them.
[[nodiscard]] NftnlPtr<nftnl_rule> encode_rule(const std::string& table, const std::string& chain,
                                               const ProgramRule& rule, std::uint32_t first_set_id);

[[nodiscard]] ProgramChain decode_chain(const nftnl_chain& chain);
[[nodiscard]] Lookup decode_set(const nftnl_set& set);
[[nodiscard]] ProgramRule decode_rule(const nftnl_rule& rule, const SetElements& sets);

}  // namespace soleroute::netrules
