// From a host name to what the policy says about it: one probe per label, none of them dependent on the table's size.
// Immutable after the last insert; then thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_name.h"

namespace soleroute::policy {

// The hashes of a name and of every name above it, which all tables share. Borrows the name.
class NameHashes {
 public:
  explicit NameHashes(std::string_view name);

 private:
  friend class HostTable;
  struct Suffix {
    std::uint64_t hash;
    std::size_t begin;
  };
  std::string_view name_;
  std::uint64_t whole_;
  std::size_t count_ = 0;
  // Only the first `count_` are set; clearing 4 KiB would cost more than the look-up.
  std::array<Suffix, base::HostName::kMaxLength> suffixes_;
};

class HostTable {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  struct Entry {
    std::uint32_t exact = kNone;            // the record for this name alone
    std::uint32_t wildcard = kNone;         // the record for this name and everything below
    std::uint32_t endpoints = kNone;        // the endpoints of this name
    std::uint32_t endpoints_below = kNone;  // those of this name and everything below
  };

  // `names`: how many different names there will be at most.
  explicit HostTable(std::size_t names = 0);

  // The entry of `name`, made if there is none. An empty name is the root, above every other.
  [[nodiscard]] Entry& at(std::string_view name);
  // Once endpoints of names below another are entered: without it no name is looked for there.
  void look_for_endpoints_below() { has_endpoints_below_ = true; }
  // The entry of exactly this name, if there is one.
  [[nodiscard]] const Entry* entry(std::string_view name) const;

  // The text of a name that is in the table, or of the wildcard of that name. Valid until the next at().
  [[nodiscard]] std::string_view text(std::string_view name, bool wildcard) const;

  struct Found {
    std::uint32_t record = kNone;     // exact before wildcard, the longest wildcard first
    std::uint32_t endpoints = kNone;  // likewise
  };
  [[nodiscard]] Found find(const NameHashes& name) const;
  [[nodiscard]] Found find(std::string_view name) const { return find(NameHashes(name)); }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t offset = 0;  // of the name; "*." stands in front of it
    std::uint32_t length = 0;  // 0: free
    Entry entry;
  };
  [[nodiscard]] const Slot* probe(std::uint64_t hash, std::string_view name) const;

  bool has_endpoints_below_ = false;
  Entry root_;
  std::vector<Slot> slots_;  // a power of two, at most half full
  std::string names_;        // every name with "*." in front, which serves the text of both
};

}  // namespace soleroute::policy
