// Reads `transform:` of a host or a rule from a YAML tree, in agent-sandbox's shape.
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "policy/header_transform.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

inline constexpr std::size_t kMaxTransforms = 8;  // headers that one rule sets

class TransformReader {
 public:
  explicit TransformReader(const SourceText& source) : yaml_(source) {}

  // {request: {headers: {NAME: {secret: ID, transform: {type: …}}}, on_existing_header: …}}
  [[nodiscard]] base::Status transform(const YamlNode& node, std::vector<HeaderTransform>& out) const;

  // A secret's ID.
  [[nodiscard]] base::Status secret(const YamlNode& node, std::string& out) const;

 private:
  [[nodiscard]] base::Status request(const YamlNode& node, std::vector<HeaderTransform>& out) const;
  [[nodiscard]] base::Status headers(const YamlNode& node, std::vector<HeaderTransform>& out) const;
  [[nodiscard]] base::Status name(const YamlNode& node, const std::vector<HeaderTransform>& others,
                                  std::string& out) const;
  [[nodiscard]] base::Status header(const YamlNode& node, HeaderTransform& out) const;
  [[nodiscard]] base::Status form(const YamlNode& node, HeaderTransform& out) const;
  [[nodiscard]] base::Status username(const YamlNode& node, HeaderTransform& out) const;

  YamlReader yaml_;
};

}  // namespace soleroute::policy
