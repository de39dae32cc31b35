// From a host name to what the policy says about it: one probe per label, none of them dependent on the table's size.
// Immutable after the last insert; then thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace soleroute::policy {

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
  [[nodiscard]] Found find(std::string_view name) const;

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
