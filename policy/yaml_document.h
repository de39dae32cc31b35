// One YAML document as a tree of located nodes, read through guards that yaml-cpp does not have.
// Plain values: a tree owns all of its text.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/policy.h"
#include "policy/source_text.h"

namespace soleroute::policy {

// The whole of a text, whatever is in it. Long lists of names are text too: see kMaxOtherBytes.
inline constexpr std::size_t kMaxTextBytes = kMaxPolicyBytes;
// Everything that is not a line of the form "- name": 1 MiB.
inline constexpr std::size_t kMaxOtherBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxNameLines = 200'000;
inline constexpr int kMaxDepth = 16;                     // a policy needs 8
inline constexpr std::size_t kMaxNodes = 250'000;        // about 85 MiB of tree
inline constexpr std::size_t kMaxAliasedNodes = 10'000;  // nodes that exist only because an alias repeats them
inline constexpr std::size_t kMaxScalarBytes = 4096;

struct YamlNode {
  enum class Kind : std::uint8_t { kNull, kScalar, kSequence, kMapping };

  Kind kind = Kind::kNull;
  bool quoted = false;  // the scalar was quoted or a block: its type is text
  Position position{};
  std::string text{};                // of a scalar
  std::vector<YamlNode> children{};  // items; for a mapping key, value, key, value

  [[nodiscard]] bool is_null() const { return kind == Kind::kNull; }
  [[nodiscard]] bool is_scalar() const { return kind == Kind::kScalar; }
  [[nodiscard]] bool is_sequence() const { return kind == Kind::kSequence; }
  [[nodiscard]] bool is_mapping() const { return kind == Kind::kMapping; }
};

// "a list", "a mapping", "nothing", or for scalars what YAML 1.1 makes of the text: "text", "a number", "a boolean",
// "a date", "a time".
[[nodiscard]] std::string_view type_name(const YamlNode& node);
// A scalar that every YAML reader takes for text.
[[nodiscard]] bool is_text(const YamlNode& node);

// LF line ends, no byte order mark; an error for what no policy text may hold: NUL, UTF-16, ill-formed UTF-8, control
// characters, tabs as indentation, brackets nested too deeply, too many bytes. `clean` is set even on an error.
[[nodiscard]] base::Status clean_text(std::string_view name, std::string_view text, std::string& clean,
                                      PolicyFaults* faults = nullptr);

// The document in `source` (cleaned by clean_text()); a null node if it holds only comments or nothing at all.
// Errors: whatever yaml-cpp refuses; duplicate keys, keys that are not plain text, `<<`, tags, several documents,
// aliases that refer to themselves or repeat more than kMaxAliasedNodes nodes, nesting beyond kMaxDepth.
[[nodiscard]] base::Result<YamlNode> parse_yaml(const SourceText& source);

}  // namespace soleroute::policy
