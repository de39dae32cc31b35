// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/host_table.h"

#include <bit>

#include "policy/host_pattern.h"

namespace soleroute::policy {
namespace {

// FNV-1a over the name from its end, so that the hash of every suffix falls out on the way.
constexpr std::uint64_t kOffsetBasis = 0xcbf29ce484222325;
constexpr std::uint64_t kPrime = 0x00000100000001b3;

constexpr std::uint64_t add(std::uint64_t hash, char c) {
  return (hash ^ static_cast<std::uint8_t>(c)) * kPrime;
}

// FNV's low bits are weak; tables use them.
constexpr std::uint64_t finish(std::uint64_t hash) {
  return hash ^ (hash >> 29) ^ (hash >> 47);
}

std::uint64_t hash_of(std::string_view name) {
  std::uint64_t hash = kOffsetBasis;
  for (auto at = name.rbegin(); at != name.rend(); ++at) hash = add(hash, *at);
  return finish(hash);
}

}  // namespace

HostTable::HostTable(std::size_t names) : slots_(std::bit_ceil(2 * names + 2)) {}

const HostTable::Slot* HostTable::probe(std::uint64_t hash, std::string_view name) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.length == 0) return nullptr;
    if (slot.hash != hash || slot.length != name.size()) continue;
    if (std::string_view(names_).substr(slot.offset, slot.length) == name) return &slot;
  }
}

HostTable::Entry& HostTable::at(std::string_view name) {
  if (name.empty()) return root_;
  const std::uint64_t hash = hash_of(name);
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash & mask;
  while (slots_[i].length != 0) {
    Slot& slot = slots_[i];
    const auto held = std::string_view(names_).substr(slot.offset, slot.length);
    if (slot.hash == hash && held == name) return slot.entry;
    i = (i + 1) & mask;
  }
  names_ += kStar;
  slots_[i] = {hash, static_cast<std::uint32_t>(names_.size()), static_cast<std::uint32_t>(name.size()), {}};
  names_ += name;
  return slots_[i].entry;
}

const HostTable::Entry* HostTable::entry(std::string_view name) const {
  if (name.empty()) return &root_;
  const Slot* slot = probe(hash_of(name), name);
  return slot == nullptr ? nullptr : &slot->entry;
}

std::string_view HostTable::text(std::string_view name, bool wildcard) const {
  if (name.empty()) return kEveryHost;
  const Slot* slot = probe(hash_of(name), name);
  if (slot == nullptr) return {};
  const std::size_t extra = wildcard ? kStar.size() : 0;
  return std::string_view(names_).substr(slot->offset - extra, slot->length + extra);
}

NameHashes::NameHashes(std::string_view name) : name_(name) {  // NOLINT(*-member-init)
  std::uint64_t hash = kOffsetBasis;
  for (std::size_t at = name.size(); at-- > 0;) {
    if (name[at] == '.') suffixes_[count_++] = {finish(hash), at + 1};
    hash = add(hash, name[at]);
  }
  whole_ = finish(hash);
}

HostTable::Found HostTable::find(const NameHashes& name) const {
  Found found;
  if (const Slot* whole = probe(name.whole_, name.name_)) {
    found.endpoints = whole->entry.endpoints != kNone ? whole->entry.endpoints : whole->entry.endpoints_below;
    found.record = whole->entry.exact != kNone ? whole->entry.exact : whole->entry.wildcard;
  }
  std::size_t count = name.count_;
  while (count > 0 && (found.record == kNone || (found.endpoints == kNone && has_endpoints_below_))) {
    const auto& suffix = name.suffixes_[--count];
    const Slot* slot = probe(suffix.hash, name.name_.substr(suffix.begin));
    if (slot == nullptr) continue;
    if (found.record == kNone) found.record = slot->entry.wildcard;
    if (found.endpoints == kNone) found.endpoints = slot->entry.endpoints_below;
  }
  if (found.record == kNone) found.record = root_.wildcard;
  if (found.endpoints == kNone) found.endpoints = root_.endpoints_below;
  return found;
}

}  // namespace soleroute::policy
