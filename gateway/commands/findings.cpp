// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "base/ascii.h"
#include "base/text.h"

namespace soleroute::gateway::commands {
namespace {

using Json = nlohmann::ordered_json;

struct Rule {
  std::string_view id;
  std::string_view description;
};
constexpr std::array kRules{Rule{kPolicyError, "The policy file is not valid; no gateway would serve with it."},
                            Rule{kPolicyWarning, "The policy allows more than is probably meant."},
                            Rule{kPolicyTest, "The policy does not decide as a test expects."}};

std::string_view level_name(const PolicyFinding& finding) {
  return finding.level == PolicyFinding::Level::kError ? "error" : "warning";
}

std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Each line without what a terminal or a log would act on.
std::string clean(std::string_view text) {
  std::string out;
  for (const auto line : base::lines_of(text)) out += (out.empty() ? "" : "\n") + base::shown(line);
  return out;
}

// What GitHub's runner decodes; a property cannot hold ':' and ',' either.
std::string github_escaped(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    const bool special = c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ','));
    if (special) {
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out;
}

bool is_uri_character(char c) {
  return base::is_alphanumeric(c) || std::string_view("-._~/").contains(c);
}

std::string uri_of(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (is_uri_character(c)) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

Json sarif_result(const PolicyFinding& finding) {
  Json region{{"startLine", std::max(finding.line, 1)}};
  if (finding.column > 0) region["startColumn"] = finding.column;
  const Json place{{"artifactLocation", {{"uri", uri_of(repository_path(finding.file))}}}, {"region", region}};
  return {{"ruleId", finding.rule},
          {"level", level_name(finding)},
          {"message", {{"text", clean(finding.message)}}},
          {"locations", Json::array({Json{{"physicalLocation", place}}})}};
}

// FNV-1a: equal in every run and on every machine.
std::string fingerprint(std::string_view text) {
  constexpr std::uint64_t kBasis = 14695981039346656037U;
  constexpr std::uint64_t kPrime = 1099511628211U;
  std::uint64_t hash = kBasis;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
  return fmt::format("{:016x}", hash);
}

}  // namespace

void add_findings(const policy::PolicyFaults& faults, std::vector<PolicyFinding>& out) {
  for (const auto& fault : faults.first) {
    out.push_back({.level = PolicyFinding::Level::kError,
                   .rule = kPolicyError,
                   .file = fault.file,
                   .line = fault.line,
                   .column = fault.column,
                   .message = fault.what});
  }
  const std::size_t more = faults.count - faults.first.size();
  if (more == 0) return;
  out.push_back({.level = PolicyFinding::Level::kError,
                 .rule = kPolicyError,
                 .file = faults.first.back().file,
                 .message = fmt::format("… and {} more errors", more)});
}

PolicyFinding warning_finding(const std::string& sentence, const std::vector<std::string>& files) {
  PolicyFinding finding{.level = PolicyFinding::Level::kWarning, .rule = kPolicyWarning, .message = sentence};
  if (!files.empty()) finding.file = files.back();
  for (const auto& file : files) {
    const std::string before = base::shown(file) + ":";
    if (!sentence.starts_with(before)) continue;
    const char* const begin = sentence.data() + before.size();
    const char* const end = sentence.data() + sentence.size();
    const auto [rest, fault] = std::from_chars(begin, end, finding.line);
    if (fault != std::errc{} || !std::string_view(rest, end).starts_with(": ")) continue;
    finding.file = file;
    finding.message = std::string(rest + 2, end);
    return finding;
  }
  return finding;
}

std::string to_github(const std::vector<PolicyFinding>& findings, std::string_view title) {
  std::string out;
  for (const auto& finding : findings) {
    out += fmt::format("::{} file={}", level_name(finding),
                       github_escaped(base::shown(repository_path(finding.file)), true));
    if (finding.line > 0) out += fmt::format(",line={}", finding.line);
    if (finding.column > 0) out += fmt::format(",col={}", finding.column);
    out += fmt::format(",title={}::{}\n", github_escaped(title, true), github_escaped(clean(finding.message), false));
  }
  return out;
}

std::string to_sarif(const std::vector<PolicyFinding>& findings) {
  auto rules = Json::array();
  for (const auto& rule : kRules)
    rules.push_back({{"id", rule.id}, {"shortDescription", {{"text", rule.description}}}});
  auto results = Json::array();
  for (const auto& finding : findings) results.push_back(sarif_result(finding));
  const Json driver{{"name", "Soleroute"}, {"semanticVersion", SOLEROUTE_VERSION}, {"rules", std::move(rules)}};
  const Json run{{"tool", {{"driver", driver}}}, {"results", std::move(results)}};
  return dumped({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                 {"version", "2.1.0"},
                 {"runs", Json::array({run})}});
}

std::string to_code_quality(const std::vector<PolicyFinding>& findings) {
  auto list = Json::array();
  std::unordered_set<std::string> known;
  for (const auto& finding : findings) {
    const std::string path = repository_path(finding.file);
    std::string print = fingerprint(fmt::format("{}\n{}\n{}", finding.rule, path, finding.message));
    for (std::size_t again = 2; !known.insert(print).second; ++again) {
      print = fingerprint(fmt::format("{}\n{}\n{}\n{}", finding.rule, path, finding.message, again));
    }
    list.push_back({{"description", clean(finding.message)},
                    {"check_name", finding.rule},
                    {"fingerprint", print},
                    {"severity", finding.level == PolicyFinding::Level::kError ? "critical" : "minor"},
                    {"location", {{"path", path}, {"lines", {{"begin", std::max(finding.line, 1)}}}}}});
  }
  return dumped(list);
}

bool in_github_job() {
  const char* value = std::getenv("GITHUB_ACTIONS");
  return value != nullptr && std::string_view(value) == "true";
}

std::string repository_path(const std::string& path) {
  namespace fs = std::filesystem;
  for (const char* name : {"GITHUB_WORKSPACE", "CI_PROJECT_DIR"}) {
    const char* folder = std::getenv(name);
    if (folder == nullptr || *folder != '/') continue;
    std::error_code failed;
    const fs::path whole = fs::absolute(path, failed).lexically_normal();
    if (failed) continue;
    const fs::path inside = whole.lexically_relative(fs::path(folder).lexically_normal());
    if (!inside.empty() && *inside.begin() != "..") return inside.string();
  }
  return fs::path(path).lexically_normal().string();
}

}  // namespace soleroute::gateway::commands
