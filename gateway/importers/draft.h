// A policy that grows while the configuration of another tool is read: entries, and what has no entry here.
// Used by one thread; owns all of its text.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/policy_edit.h"

namespace soleroute::gateway::importers {

struct Omission {
  std::string what;  // as the other tool's file writes it
  std::string why;
  bool exception = false;  // what the other tool denies there, and what is imported may allow
};

// What a name of the other tool's file covers.
enum class Reach { kName, kBelow, kNameAndBelow };
enum class Verdict { kAllow, kDeny };

// Narrower than a whole host. Empty: everything.
struct Terms {
  std::vector<std::string> schemes{};
  std::vector<std::string> methods{};
  std::string path{};  // YAML: {prefix: "/v1/"}
};

// YAML of a text: plain where every reader takes it for text.
[[nodiscard]] std::string yaml_text(std::string_view text);
[[nodiscard]] std::string exact_path(std::string_view path);
[[nodiscard]] std::string path_prefix(std::string_view path);

class Draft {
 public:
  // Each of these adds an entry that compiles, or an omission that says why it does not.
  void host(Verdict verdict, Reach reach, std::string_view name, const std::vector<Terms>& terms = {},
            std::uint16_t port = 0);
  // "api.example.com", "https://api.example.com/v1", "api.example.com:8443": a host of that scheme, or port. What a
  // bare name covers, and one with "*." in front.
  void target(Verdict verdict, std::string_view text, Reach bare, Reach starred);
  void endpoint(std::string_view host_or_range, std::uint16_t port);
  void service(std::string_view name, std::string_view written);
  // An item as it is; `written` names it if it cannot be added.
  void item(std::string list, std::string item, std::string_view written, std::string remark = {});

  void omit(std::string_view what, std::string_view why, Verdict verdict = Verdict::kAllow);
  // One sentence about what the entries mean, each once: "A bare name covers the names below it."
  void mean(std::string_view sentence);

  [[nodiscard]] const std::vector<policy::NewEntry>& entries() const { return entries_; }
  [[nodiscard]] const std::vector<Omission>& omissions() const { return omissions_; }
  [[nodiscard]] const std::vector<std::string>& meanings() const { return meanings_; }

 private:
  std::vector<policy::NewEntry> entries_;
  std::set<std::pair<std::string, std::string>> seen_;
  std::vector<Omission> omissions_;
  std::vector<std::string> meanings_;
};

}  // namespace soleroute::gateway::importers
