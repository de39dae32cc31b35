// Reads `rules:` of a host from a YAML tree.
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "policy/policy_document.h"
#include "policy/transform_reader.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

class RuleReader {
 public:
  explicit RuleReader(const SourceText& source) : yaml_(source), transforms_(source) {}

  // `transform:` of a host: the headers that each of its rules sets.
  [[nodiscard]] base::Status transform(const YamlNode& node, std::vector<HeaderTransform>& out) const {
    return transforms_.transform(node, out);
  }
  // A rule that sets headers is about https alone: what it sends is a secret. `of_host` is for rules without their own.
  [[nodiscard]] base::Status settle(const std::vector<HeaderTransform>& of_host, LocatedRule& rule) const;

  // `in_catalog`: the matchers that only the service catalog has are known too.
  [[nodiscard]] base::Status rules(const YamlNode& node, bool in_catalog, std::vector<LocatedRule>& out) const;

 private:
  [[nodiscard]] base::Status rule(const YamlNode& node, bool in_catalog, std::vector<LocatedRule>& out) const;
  [[nodiscard]] base::Status scheme(const YamlNode& node, LocatedRule& rule) const;
  [[nodiscard]] base::Status schemes(const YamlNode& node, LocatedRule& rule) const;
  [[nodiscard]] base::Status method(const YamlNode& node, RuleTerms& terms) const;
  [[nodiscard]] base::Status methods(const YamlNode& node, RuleTerms& terms) const;
  [[nodiscard]] base::Status path(const YamlNode& node, bool in_catalog, RuleTerms& terms) const;
  [[nodiscard]] base::Status path_text(const YamlNode& node, PathMatch match, RuleTerms& terms) const;
  [[nodiscard]] base::Status query(const YamlNode& node, RuleTerms& terms) const;
  [[nodiscard]] base::Status query_exact(const YamlNode& node, RuleTerms& terms) const;

  YamlReader yaml_;
  TransformReader transforms_;
};

}  // namespace soleroute::policy
