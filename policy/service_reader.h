// Reads `services:` of a policy.
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "base/result.h"
#include "policy/github_reader.h"
#include "policy/policy_document.h"
#include "policy/value_reader.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

class ServiceReader {
 public:
  explicit ServiceReader(const SourceText& source) : yaml_(source), values_(source), github_(source) {}

  [[nodiscard]] base::Status services(const YamlNode& node, std::vector<ServiceEntry>& out) const;

 private:
  [[nodiscard]] base::Status entry(const YamlNode& node, std::vector<ServiceEntry>& out) const;
  [[nodiscard]] base::Status name(const YamlNode& node, ServiceEntry& entry) const;
  [[nodiscard]] base::Status optional_groups(const YamlNode& node, ServiceEntry& entry) const;
  [[nodiscard]] base::Status scope_is_whole(const YamlNode& node, const ServiceEntry& entry) const;

  YamlReader yaml_;
  ValueReader values_;
  GithubReader github_;
};

}  // namespace soleroute::policy
