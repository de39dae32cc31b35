// From records of refusals to the policy lines that would have allowed them.
// Pure functions.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/audit/decision_log.h"
#include "policy/optional_hosts.h"
#include "policy/policy.h"

namespace soleroute::gateway::audit {

// The lines that would allow what this record refused; empty where no policy would. Asks `policy` anew, so that a
// record of an older policy gets today's answer.
[[nodiscard]] std::string lines_to_allow(const DecisionRecord& refused, const policy::Policy& policy);
// Of all of them, merged and each once; at most so many items.
[[nodiscard]] std::string lines_to_allow(std::span<const DecisionRecord> refused, const policy::Policy& policy,
                                         std::size_t most_items);
// Could any line of a policy allow this? Not a probe of `gateway verify`, nor a name that is no host's (of a SRV
// record, of special use, an allowed one with a search domain behind it), nor a denial for what was sent or went wrong.
[[nodiscard]] bool is_curable(const DecisionRecord& refused);
// The service that asks for this and works without it, as far as the record tells. Borrows from the policy.
[[nodiscard]] std::optional<policy::OptionalUse> optional_use(const DecisionRecord& refused,
                                                              const policy::Policy& policy);
// How many refusals the record stands for: those that were held back are written as a count.
[[nodiscard]] std::uint64_t times(const DecisionRecord& record);
// What `policy` says today of the flow, as far as the record tells it.
[[nodiscard]] bool is_allowed_now(const DecisionRecord& record, const policy::Policy& policy);
// "policy.yaml:12", the line by which `policy` allows the flow today; empty: it does not, as far as the record tells.
[[nodiscard]] std::string allowed_by(const DecisionRecord& record, const policy::Policy& policy);

// How often something was denied, and how it was asked for.
class Demand {
 public:
  static constexpr std::size_t kMostWays = 4;

  void add(const DecisionRecord& refused, std::uint64_t count);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // Something else to say of it: "service npm".
  void note(std::string text) { note_ = std::move(text); }
  // "3 times, GET, https"; "1 time, DNS only"; "1 time, https, service npm".
  [[nodiscard]] std::string text() const;

 private:
  std::uint64_t count_ = 0;
  std::set<std::string> ways_;
  std::string note_;
};

// Snippets of policy, "domains:\n  - a\n" and "domains:\n  - b\n", merged into one list a heading, each item once.
class PolicyLines {
 public:
  explicit PolicyLines(std::size_t most_items) : most_(most_items) {}

  // False: nothing new, or no room. `demand`: for the item's comment; empty: there is none.
  bool add(std::string_view snippet, const Demand& demand = {});
  // Under each heading exact names come before wildcards, and what was wanted most comes first.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::size_t size() const { return seen_.size(); }

  struct Line {
    std::string list;    // "domains"
    std::string item;    // "a.test"
    std::string remark;  // its comment, without '#'
    std::string demand;  // "3 times, GET, https"
  };
  // The same as text(), apart.
  [[nodiscard]] std::vector<Line> lines() const;

 private:
  struct Item {
    std::string text;
    std::uint64_t count = 0;
    std::string remark;
  };
  [[nodiscard]] static std::vector<const Item*> ordered(const std::vector<Item>& items);

  std::size_t most_;
  std::map<std::string, std::vector<Item>> items_;  // by heading
  std::set<std::pair<std::string, std::string>> seen_;
};

}  // namespace soleroute::gateway::audit
