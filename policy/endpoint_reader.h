// Reads `endpoints:` of a policy.
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "base/result.h"
#include "policy/policy_document.h"
#include "policy/value_reader.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

class EndpointReader {
 public:
  explicit EndpointReader(const SourceText& source) : yaml_(source), values_(source) {}

  [[nodiscard]] base::Status endpoints(const YamlNode& node, std::vector<EndpointEntry>& out) const;

 private:
  [[nodiscard]] base::Status endpoint(const YamlNode& node, std::vector<EndpointEntry>& out) const;
  [[nodiscard]] base::Status host(const YamlNode& node, EndpointEntry& entry) const;
  [[nodiscard]] base::Status is_whole(const YamlNode& node, EndpointEntry& entry) const;

  YamlReader yaml_;
  ValueReader values_;
};

}  // namespace soleroute::policy
