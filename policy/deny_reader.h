// Reads `deny:` of a policy.
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "base/result.h"
#include "policy/policy_document.h"
#include "policy/rule_reader.h"
#include "policy/value_reader.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

class DenyReader {
 public:
  explicit DenyReader(const SourceText& source) : yaml_(source), values_(source), rules_(source) {}

  [[nodiscard]] base::Status deny(const YamlNode& node, std::vector<DenyEntry>& out) const;

 private:
  [[nodiscard]] base::Status item(const YamlNode& node, std::vector<DenyEntry>& out) const;
  [[nodiscard]] base::Status whole(const YamlNode& node, DenyEntry& entry) const;
  [[nodiscard]] base::Status host(const YamlNode& node, DenyEntry& entry) const;
  [[nodiscard]] base::Status rules(const YamlNode& node, DenyEntry& entry) const;
  [[nodiscard]] base::Status ports(const YamlNode& node, DenyEntry& entry) const;
  [[nodiscard]] base::Status protocol(const YamlNode& node, DenyEntry& entry) const;
  [[nodiscard]] base::Status is_consistent(const YamlNode& node, const DenyEntry& entry) const;

  YamlReader yaml_;
  ValueReader values_;
  RuleReader rules_;
};

}  // namespace soleroute::policy
