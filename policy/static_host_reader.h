// Reads `hosts:` of a policy.
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "base/result.h"
#include "policy/policy_document.h"
#include "policy/value_reader.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

class StaticHostReader {
 public:
  explicit StaticHostReader(const SourceText& source) : yaml_(source), values_(source) {}

  [[nodiscard]] base::Status hosts(const YamlNode& node, std::vector<StaticHost>& out) const;

 private:
  [[nodiscard]] base::Status address(const YamlNode& node, StaticHost& entry) const;

  YamlReader yaml_;
  ValueReader values_;
};

}  // namespace soleroute::policy
