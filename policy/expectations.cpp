// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/expectations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "policy/explanation.h"
#include "policy/source_text.h"
#include "policy/yaml_reader.h"

namespace soleroute::policy {

std::vector<std::string_view> reason_names() {
  std::vector<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Reason::kDeniedByPolicy); ++i) {
    names.push_back(to_string(static_cast<Reason>(i)));
  }
  return names;
}

namespace {

using base::Result;
using base::Status;

class TableReader {
 public:
  explicit TableReader(const SourceText& source) : yaml_(source) {}

  Result<ExpectationTable> table(const YamlNode& root) const;

 private:
  Status policies(const YamlNode& node, ExpectationTable& table) const;
  Status expectation(const YamlNode& node, ExpectationTable& table) const;
  Status text_into(const YamlNode& node, std::string_view what, std::string& out) const;
  Status port(const YamlNode& node, DecisionQuery& question) const;
  Status is_whole(const YamlNode& node, const Expectation& row, bool expected) const;

  YamlReader yaml_;
};

Status TableReader::text_into(const YamlNode& node, std::string_view what, std::string& out) const {
  SR_LET(text, yaml_.text(node, what));
  if (text->empty()) return yaml_.error(node, fmt::format("{} is empty", what));
  out = *text;
  return {};
}

Status TableReader::port(const YamlNode& node, DecisionQuery& question) const {
  const auto [end, fault] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), question.port);
  const bool whole = fault == std::errc{} && end == node.text.data() + node.text.size();
  if (type_name(node) == "a number" && whole && question.port != 0) return {};
  return yaml_.error(node, "a port must be a number from 1 to 65535");
}

Status TableReader::policies(const YamlNode& node, ExpectationTable& table) const {
  return yaml_.each(node, "policies", false, [&](const YamlNode& item) {
    return text_into(item, "a policy file", table.policies.emplace_back());
  });
}

Status TableReader::is_whole(const YamlNode& node, const Expectation& row, bool expected) const {
  if (!expected) return yaml_.error(node, "a test needs 'expect': allow or deny");
  if (row.question.url.empty() == row.question.host.empty()) {
    return yaml_.error(node, "a test needs either 'url' or 'host'");
  }
  if (row.question.host.empty() && row.question.port != 0) {
    return yaml_.error(node, "'port' is only for 'host'; write the port of a url into the url");
  }
  if (!row.question.host.empty() && row.question.port == 0) return yaml_.error(node, "'host' needs 'port'");
  return {};
}

std::string name_of(const DecisionQuery& question) {
  if (!question.url.empty()) return fmt::format("{} {}", question.method, question.url);
  const auto protocol = question.protocol == Transport::kUdp ? "udp" : "tcp";
  return fmt::format("{} {} port {}", protocol, question.host, question.port);
}

Status TableReader::expectation(const YamlNode& node, ExpectationTable& table) const {
  Expectation row;
  row.line = node.position.line;
  bool expected = false;
  const auto expect = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "expect", {"allow", "deny"}));
    row.action = *chosen == "allow" ? Action::kAllow : Action::kDeny;
    expected = true;
    return {};
  };
  const auto protocol = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "protocol", {"tcp", "udp"}));
    row.question.protocol = *chosen == "udp" ? Transport::kUdp : Transport::kTcp;
    return {};
  };
  const auto reason = [&](const YamlNode& value) -> Status {
    SR_LET(chosen, yaml_.choice(value, "reason", reason_names()));
    row.reason = *chosen;
    return {};
  };
  const std::array<YamlReader::Key, 10> known{{
      {"name", [&](const YamlNode& value) { return text_into(value, "name", row.name); }},
      {"url", [&](const YamlNode& value) { return text_into(value, "url", row.question.url); }},
      {"agent", [&](const YamlNode& value) { return text_into(value, "agent", row.agent); }},
      {"method", [&](const YamlNode& value) { return text_into(value, "method", row.question.method); }},
      {"host",
       [&](const YamlNode& value) {
         if (!value.is_scalar()) return text_into(value, "host", row.question.host);
         row.question.host = value.text;  // addresses look like numbers to some
         return Status{};
       }},
      {"port", [&](const YamlNode& value) { return port(value, row.question); }},
      {"protocol", protocol},
      {"expect", expect},
      {"reason", reason},
      {"rule", [&](const YamlNode& value) { return text_into(value, "rule", row.rule); }},
  }};
  SR_TRY(yaml_.keys(node, "a test", known));
  SR_TRY(is_whole(node, row, expected));
  if (row.name.empty()) row.name = (row.agent.empty() ? "" : row.agent + ": ") + name_of(row.question);
  table.expectations.push_back(std::move(row));
  return {};
}

Result<ExpectationTable> TableReader::table(const YamlNode& root) const {
  ExpectationTable table;
  const std::array<YamlReader::Key, 2> known{{
      {"policies", [&](const YamlNode& value) { return policies(value, table); }},
      {"tests",
       [&](const YamlNode& value) {
         return yaml_.each(value, "tests", false, [&](const YamlNode& item) { return expectation(item, table); });
       }},
  }};
  SR_TRY(yaml_.keys(root, "a table of tests", known));
  if (table.expectations.empty()) return yaml_.error(root, "a table needs 'tests' with at least one test");
  return table;
}

// "dir/policy.yaml:12" is meant by "policy.yaml:12", by the whole text, and without its line.
bool rule_matches(std::string_view wanted, const SourceLine& line) {
  const auto ends_at_a_folder = [](std::string_view whole, std::string_view end) {
    if (!whole.ends_with(end)) return false;
    return whole.size() == end.size() || whole[whole.size() - end.size() - 1] == '/';
  };
  return line.line != 0 && (ends_at_a_folder(place_of(line), wanted) || ends_at_a_folder(line.file, wanted));
}

ExpectationResult run(std::string_view table_name, const Expectation& row, const Policy& all) {
  const Policy* own = row.agent.empty() ? &all : all.of_agent(row.agent);
  if (own == nullptr) {
    return {.name = row.name,
            .file = std::string(table_name),
            .line = row.line,
            .place = place_of({table_name, row.line}),
            .passed = false,
            .failure = fmt::format("the policy lists no agent {}\n", base::shown(row.agent))};
  }
  const Policy& policy = *own;
  PreparedQuery question(row.question);
  const auto decision = question.ask(policy);
  const std::string rule = place_of(decision.rule);
  ExpectationResult result{.name = row.name,
                           .file = std::string(table_name),
                           .line = row.line,
                           .place = place_of({table_name, row.line}),
                           .verdict = fmt::format("{}: {}{}{}", decision.allowed() ? "allowed" : "denied",
                                                  to_string(decision.reason), rule.empty() ? "" : ", ", rule)};
  const bool action = decision.action == row.action;
  const bool reason = row.reason.empty() || row.reason == to_string(decision.reason);
  const bool place_matches = row.rule.empty() || rule_matches(row.rule, decision.rule);
  result.passed = action && reason && place_matches;
  if (result.passed) return result;
  result.failure =
      fmt::format("expected {}{}{}, got {}\n", row.action == Action::kAllow ? "allowed" : "denied",
                  row.reason.empty() ? "" : ": " + row.reason, row.rule.empty() ? "" : ", " + row.rule, result.verdict);
  result.failure += reason_sentence(policy, question.facts(), decision) + "\n";
  if (row.action != Action::kAllow) return result;
  const auto lines = how_to_allow(policy, question.facts(), decision);
  if (!lines.empty()) result.failure += "to allow it, add to the policy:\n" + base::indented(lines, "    ");
  return result;
}

}  // namespace

Result<ExpectationTable> read_expectations(std::string_view name, std::string_view text, PolicyFaults* faults) {
  std::string clean;
  SR_TRY(clean_text(name, text, clean, faults));
  const SourceText source(name, clean, faults);
  SR_LET(root, parse_yaml(source));
  return TableReader(source).table(*root);
}

std::size_t ExpectationReport::failures() const {
  return static_cast<std::size_t>(std::ranges::count(results, false, &ExpectationResult::passed));
}

ExpectationReport run_expectations(std::string_view table_name, const ExpectationTable& table, const Policy& policy) {
  ExpectationReport report{.table = std::string(table_name)};
  for (const auto& row : table.expectations) report.results.push_back(run(table_name, row, policy));
  return report;
}

}  // namespace soleroute::policy
