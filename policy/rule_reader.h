// Reads `rules:` of a host from a YAML tree.
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "policy/policy_document.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

class RuleReader {
 public:
  explicit RuleReader(const SourceText& source) : yaml_(source) {}

  // `in_catalog`: the matchers that only the service catalog has are known too.
  [[nodiscard]] base::Status rules(const YamlNode& node, bool in_catalog, std::vector<LocatedRule>& out) const;

 private:
  [[nodiscard]] base::Status rule(const YamlNode& node, bool in_catalog, std::vector<LocatedRule>& out) const;
  [[nodiscard]] base::Status schemes(const YamlNode& node, RuleTerms& terms) const;
  [[nodiscard]] base::Status methods(const YamlNode& node, RuleTerms& terms) const;
  [[nodiscard]] base::Status path(const YamlNode& node, bool in_catalog, RuleTerms& terms) const;
  [[nodiscard]] base::Status path_text(const YamlNode& node, PathMatch match, RuleTerms& terms) const;
  [[nodiscard]] base::Status query(const YamlNode& node, RuleTerms& terms) const;
  [[nodiscard]] base::Status query_exact(const YamlNode& node, RuleTerms& terms) const;

  YamlReader yaml_;
};

}  // namespace soleroute::policy
