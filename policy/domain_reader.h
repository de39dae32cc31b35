// Reads `domains:` of a policy or of the service catalog.
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

class DomainReader {
 public:
  explicit DomainReader(const SourceText& source) : yaml_(source), values_(source), rules_(source) {}

  // `in_catalog`: the matchers that only the service catalog has are known too.
  [[nodiscard]] base::Status domains(const YamlNode& node, std::vector<DomainEntry>& out, bool in_catalog) const;

 private:
  [[nodiscard]] base::Status domain(const YamlNode& node, std::vector<DomainEntry>& out, bool in_catalog) const;
  [[nodiscard]] base::Status tls(const YamlNode& node, DomainEntry& entry) const;
  [[nodiscard]] base::Status alpn(const YamlNode& node, DomainEntry& entry) const;
  [[nodiscard]] base::Status settle_transforms(const YamlNode& host_node,
                                               const std::vector<HeaderTransform>& transforms,
                                               DomainEntry& entry) const;

  YamlReader yaml_;
  ValueReader values_;
  RuleReader rules_;
};

}  // namespace soleroute::policy
