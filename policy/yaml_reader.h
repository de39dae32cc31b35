// Typed access to a YAML tree: every mismatch is an error at the node's place.
// Borrows the source.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/yaml_document.h"

namespace soleroute::policy {

class YamlReader {
 public:
  explicit YamlReader(const SourceText& source) : source_(source) {}

  [[nodiscard]] std::unexpected<base::Error> error(const YamlNode& node, std::string_view what) const {
    return error(node.position, what);
  }
  [[nodiscard]] std::unexpected<base::Error> error(Position position, std::string_view what) const {
    return source_.error(position, what);
  }
  [[nodiscard]] std::unexpected<base::Error> wrong_type(const YamlNode& node, std::string_view what,
                                                        std::string_view wanted) const;

  // Text that no YAML reader takes for something else; `what` names it in errors.
  [[nodiscard]] base::Result<std::string_view> text(const YamlNode& node, std::string_view what) const;
  [[nodiscard]] base::Result<bool> boolean(const YamlNode& node, std::string_view what) const;
  // One of `choices`; a near miss is suggested.
  [[nodiscard]] base::Result<std::string_view> choice(const YamlNode& node, std::string_view what,
                                                      const std::vector<std::string_view>& choices) const;

  // Where the source keeps its faults, each() and keys() go on behind an error, and return the first one.
  using Visit = std::function<base::Status(const YamlNode&)>;
  // Every item of a list. `empty_ok`: an empty list, and nothing at all, are lists of nothing.
  [[nodiscard]] base::Status each(const YamlNode& node, std::string_view what, bool empty_ok, const Visit& visit) const;

  struct Key {
    std::string_view name;
    Visit read;  // gets the value
  };
  // Every key of a mapping. Unknown ones are errors with a suggestion, or with the place where they belong.
  [[nodiscard]] base::Status keys(const YamlNode& node, std::string_view what, std::span<const Key> known) const;

 private:
  [[nodiscard]] bool go_on(base::Status status, base::Status& first) const;
  [[nodiscard]] std::unexpected<base::Error> unknown_key(const YamlNode& key, std::span<const Key> known) const;

  const SourceText& source_;
};

}  // namespace soleroute::policy
