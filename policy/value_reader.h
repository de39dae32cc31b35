// Reads the values that items of several lists of a policy have: hosts, addresses, flags.
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "policy/host_pattern.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

inline constexpr std::string_view kNotForEveryHost = "'*' means public addresses; list private ones host by host";

class ValueReader {
 public:
  explicit ValueReader(const SourceText& source) : yaml_(source) {}

  // The value of a key; null: the mapping does not have it.
  [[nodiscard]] static const YamlNode* key(const YamlNode& mapping, std::string_view name);

  [[nodiscard]] base::Status host(const YamlNode& node, std::optional<HostPattern>& out,
                                  Wildcards accepted = Wildcards::kOfSites) const;
  [[nodiscard]] base::Status merge_mode(const YamlNode& node, bool& replace) const;
  [[nodiscard]] base::Status flag(const YamlNode& node, std::string_view what, bool& out) const;
  [[nodiscard]] base::Status cidr(const YamlNode& node, std::string_view what, base::Cidr& out) const;
  // The list `addresses:` of an item.
  [[nodiscard]] base::Status addresses(const YamlNode& node, std::vector<base::Cidr>& out) const;

 private:
  YamlReader yaml_;
};

}  // namespace soleroute::policy
