// Reads who an agent of `agents:` is: its name, its addresses, and whether it inherits. The rest of an item is a policy
// (PolicyReader).
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "policy/policy_document.h"
#include "policy/value_reader.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

class AgentReader {
 public:
  explicit AgentReader(const SourceText& source) : yaml_(source), values_(source) {}

  [[nodiscard]] base::Status name(const YamlNode& node, std::string& out) const;
  [[nodiscard]] base::Status addresses(const YamlNode& node, std::vector<AddressEntry>& out) const;
  // Has the item all that an agent needs, and is its name new in this file?
  [[nodiscard]] base::Status check(const YamlNode& item, const AgentEntry& entry,
                                   const std::vector<AgentEntry>& before) const;

 private:
  YamlReader yaml_;
  ValueReader values_;
};

}  // namespace soleroute::policy
