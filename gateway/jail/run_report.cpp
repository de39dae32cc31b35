// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/run_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"
#include "gateway/jail/denial_words.h"
#include "policy/yaml_document.h"

namespace soleroute::gateway::jail {
namespace {

using Json = nlohmann::ordered_json;
using policy::YamlNode;

constexpr std::size_t kMostBlockedLines = 2;
constexpr std::size_t kMostAdviceLines = 2;
constexpr std::size_t kMostNamed = 4;    // of further hosts, in one line
constexpr std::size_t kMostOptions = 4;  // --allow options that are shown
constexpr std::size_t kMostRows = 50;    // of a table

std::uint64_t count_of(const HostSummary& host) {
  return host.uses != 0 ? host.uses : host.lookups;
}

bool was_blocked(const HostSummary& host) {
  return !host.example.observed;
}

std::vector<HostSummary> blocked_of(const DecisionSummary& decisions) {
  std::vector<HostSummary> blocked;
  std::ranges::copy_if(decisions.denied, std::back_inserter(blocked), was_blocked);
  return blocked;
}

// --- advice ---

std::string flow(const YamlNode& node) {
  if (node.is_null()) return {};
  if (node.is_scalar()) return node.quoted ? fmt::format("\"{}\"", node.text) : node.text;
  std::vector<std::string> items;
  const std::size_t step = node.is_mapping() ? 2 : 1;
  for (std::size_t i = 0; i + step <= node.children.size(); i += step) {
    items.push_back(node.is_mapping() ? fmt::format("{}: {}", flow(node.children[i]), flow(node.children[i + 1]))
                                      : flow(node.children[i]));
  }
  return node.is_mapping() ? fmt::format("{{{}}}", fmt::join(items, ", "))
                           : fmt::format("[{}]", fmt::join(items, ", "));
}

std::optional<YamlNode> parsed(std::string_view lines) {
  auto root = policy::parse_yaml(policy::SourceText("suggestion", lines));
  if (!root || !root->is_mapping()) return std::nullopt;
  return std::move(*root);
}

const YamlNode* value_of(const YamlNode& mapping, std::string_view key) {
  for (std::size_t i = 0; i + 1 < mapping.children.size(); i += 2) {
    if (mapping.children[i].text == key) return &mapping.children[i + 1];
  }
  return nullptr;
}

// "{host: H, port: P}" or "{cidr: A/32, port: P}" as "H:P", with `protocol: tcp` or without.
std::string host_and_port(const YamlNode& item) {
  const YamlNode* port = value_of(item, "port");
  const YamlNode* host = value_of(item, "host");
  const YamlNode* cidr = value_of(item, "cidr");
  const YamlNode* protocol = value_of(item, "protocol");
  if (protocol != nullptr && protocol->text != "tcp") return {};
  const std::size_t fields = protocol != nullptr ? 3 : 2;
  if (item.children.size() != 2 * fields || port == nullptr || (host == nullptr) == (cidr == nullptr)) return {};
  if (host != nullptr) return fmt::format("{}:{}", host->text, port->text);
  const std::string address = cidr->text.substr(0, cidr->text.find('/'));
  return address.contains(':') ? fmt::format("[{}]:{}", address, port->text)
                               : fmt::format("{}:{}", address, port->text);
}

std::string allow_option(std::string_view heading, const YamlNode& item) {
  if (heading == "domains" && item.is_scalar()) return item.text;
  return heading == "endpoints" && item.is_mapping() ? host_and_port(item) : std::string{};
}

std::vector<std::string> advice(const RunEnd& end, const std::string& lines) {
  std::vector<std::string> flowed = in_flow_style(lines);
  if (flowed.empty()) return {};
  while (flowed.size() > kMostAdviceLines) {
    flowed[kMostAdviceLines - 1] += "; " + flowed[kMostAdviceLines];
    flowed.erase(flowed.begin() + kMostAdviceLines);
  }
  std::vector<std::string> out;
  const std::string before = fmt::format("to allow, add to {}: ", base::shown(end.policy_file));
  for (const std::string& line : flowed) out.push_back((out.empty() ? before : std::string(before.size(), ' ')) + line);
  if (const std::string options = as_allow_options(lines); !options.empty()) {
    out.push_back(fmt::format("or for one run: gateway run {}{} CMD", end.policy_options, options));
  }
  return out;
}

// --- the lines at the end ---

std::string unresolved(const HostSummary& host, const std::string& times, const RunEnd& end) {
  const bool several = end.name_servers.contains(',');
  const std::string servers = fmt::format("name server{} {}", several ? "s" : "", end.name_servers);
  std::string what = fmt::format("cannot resolve {}{}: ", host.subject, times);
  if (has_no_answer(host.example)) return what + servers + " did not answer";
  return what + fmt::format("{} ({})", why_denied(host.example), servers);
}

std::string obstacle(const HostSummary& host, const RunEnd& end, const policy::Policy& policy) {
  const std::uint64_t count = count_of(host);
  const std::string times = count > 1 ? fmt::format(" ({}x)", count) : std::string{};
  if (!is_failure(host.example)) {
    return fmt::format("blocked {}{}: {}", host.subject, times, why_denied(host.example, policy));
  }
  if (host.example.phase == policy::Phase::kDns) return unresolved(host, times, end);
  return fmt::format("failed {}{}: {}", host.subject, times, why_denied(host.example));
}

std::string the_others(std::span<const HostSummary> hosts) {
  std::vector<std::string> names;
  for (const HostSummary& host : hosts.first(std::min(hosts.size(), kMostNamed))) names.push_back(host.subject);
  return fmt::format("blocked {} more: {}{}", hosts.size(), fmt::join(names, ", "),
                     hosts.size() > kMostNamed ? ", ..." : "");
}

std::vector<std::string> obstacles(const RunEnd& end, const policy::Policy& policy) {
  const std::vector<HostSummary> blocked = blocked_of(end.decisions);
  const std::span<const HostSummary> all(blocked);
  const std::size_t room = end.decisions.failed.empty() ? kMostBlockedLines : 1;
  std::vector<std::string> out;
  const std::size_t alone = all.size() <= room ? all.size() : room - 1;
  for (const HostSummary& host : all.first(alone)) out.push_back(obstacle(host, end, policy));
  if (alone == 0 && !all.empty()) {
    out.push_back(fmt::format("{}, and {} more", obstacle(all.front(), end, policy), all.size() - 1));
  } else if (alone < all.size()) {
    out.push_back(the_others(all.subspan(alone)));
  }
  if (!end.decisions.failed.empty()) out.push_back(obstacle(end.decisions.failed.front(), end, policy));
  return out;
}

// --- Markdown ---

// In a code span of a table cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : base::shown_ascii(text, text.size())) {
    out += c == '`' ? "'" : c == '|' ? "\\|" : std::string(1, c);
  }
  return out;
}

std::string table(std::string_view heading, const std::vector<HostSummary>& hosts, const policy::Policy& policy) {
  if (hosts.empty()) return {};
  std::string out = fmt::format("| {} | times | why |\n| --- | ---: | --- |\n", heading);
  for (const HostSummary& host : std::span(hosts).first(std::min(hosts.size(), kMostRows))) {
    const std::string why = host.example.allowed ? std::string("allowed") : why_denied(host.example, policy);
    out += fmt::format("| `{}` | {} | `{}` |\n", cell(host.subject), count_of(host), cell(why));
  }
  if (hosts.size() > kMostRows) out += fmt::format("\n{} more are not listed.\n", hosts.size() - kMostRows);
  return out + "\n";
}

std::string markdown(const RunEnd& end, const policy::Policy& policy) {
  const DecisionSummary& decisions = end.decisions;
  const bool observe = policy.mode() == policy::Mode::kObserve;
  std::string out =
      fmt::format("### Network access: {} allowed, {} {}, {} failed\n\n", decisions.allowed.size(),
                  decisions.denied.size(), observe ? "would be denied" : "denied", decisions.failed.size());
  out += fmt::format("Exit status of the command: {}.\n\n", end.status);
  out += table(observe ? "would be denied" : "denied", decisions.denied, policy);
  out += table("failed", decisions.failed, policy);
  out += table("allowed", decisions.allowed, policy);
  const std::string lines = lines_to_allow(decisions, policy);
  if (!lines.empty())
    out += fmt::format("To allow what was denied, add to `{}`:\n\n```yaml\n{}```\n", cell(end.policy_file), lines);
  return out;
}

// --- JSON ---

Json as_json(const std::vector<HostSummary>& hosts, const policy::Policy& policy) {
  Json list = Json::array();
  for (const HostSummary& host : hosts) {
    Json item{{"host", host.example.host},
              {"port", host.example.port},
              {"connections", host.uses},
              {"lookups", host.lookups}};
    if (host.example.host.empty()) item["destination"] = host.example.destination;
    item["reason"] = host.example.reason;
    if (!host.example.allowed) item["why"] = why_denied(host.example, policy);
    list.push_back(std::move(item));
  }
  return list;
}

std::string json(const RunEnd& end, const policy::Policy& policy) {
  const DecisionSummary& decisions = end.decisions;
  const Json object{{"exit_status", end.status},
                    {"mode", policy.mode() == policy::Mode::kObserve ? "observe" : "enforce"},
                    {"allowed", as_json(decisions.allowed, policy)},
                    {"denied", as_json(decisions.denied, policy)},
                    {"failed", as_json(decisions.failed, policy)},
                    {"not_listed", decisions.not_kept},
                    {"policy", end.policy_file},
                    {"suggestion", lines_to_allow(decisions, policy)}};
  return object.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace

bool has_obstacle(const DecisionSummary& decisions) {
  return !decisions.failed.empty() || std::ranges::any_of(decisions.denied, was_blocked);
}

std::string end_lines(const RunEnd& end, const policy::Policy& policy, bool colour) {
  std::vector<std::string> lines;
  if (has_obstacle(end.decisions)) {
    lines = obstacles(end, policy);
    for (std::string& line : advice(end, lines_to_allow(end.decisions, policy))) lines.push_back(std::move(line));
  } else if (!end.hint.empty()) {
    lines.push_back(end.hint);
  }
  std::string out;
  for (const std::string& line : lines)
    out += fmt::format("{} {}\n", colour ? "\x1b[1mgateway:\x1b[0m" : "gateway:", line);
  return out;
}

std::string formatted_summary(SummaryFormat format, const RunEnd& end, const policy::Policy& policy, bool colour) {
  if (format == SummaryFormat::kMarkdown) return markdown(end, policy);
  if (format == SummaryFormat::kJson) return json(end, policy);
  std::string out = summary_text(end.decisions, policy, {.colour = colour, .policy_file = end.policy_file});
  const std::string options = as_allow_options(lines_to_allow(end.decisions, policy));
  if (!options.empty()) out += fmt::format("  or for one run: gateway run {}{} CMD\n", end.policy_options, options);
  if (!has_obstacle(end.decisions) && !end.hint.empty()) out += fmt::format("gateway: {}\n", end.hint);
  return out;
}

std::vector<std::string> in_flow_style(std::string_view lines) {
  std::vector<std::string> out;
  const auto root = parsed(lines);
  for (std::size_t i = 0; root && i + 1 < root->children.size(); i += 2) {
    out.push_back(fmt::format("{}: {}", root->children[i].text, flow(root->children[i + 1])));
  }
  return out;
}

std::string in_shell_quotes(std::string_view word) {
  constexpr std::string_view kUnquoted = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
  if (!word.empty() && word.find_first_not_of(kUnquoted) == std::string_view::npos) return std::string(word);
  const bool escaped = base::shown_ascii(word, word.size()) != word;
  std::string out(escaped ? "$'" : "'");
  for (const char c : word) {
    if (escaped && (c < ' ' || c > '~')) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else if (escaped && (c == '\'' || c == '\\')) {
      out += fmt::format("\\{}", c);
    } else {
      out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
  }
  return out + "'";
}

std::string as_allow_options(std::string_view lines) {
  std::vector<std::string> options;
  const auto root = parsed(lines);
  for (std::size_t i = 0; root && i + 1 < root->children.size(); i += 2) {
    for (const YamlNode& item : root->children[i + 1].children) {
      const std::string what = allow_option(root->children[i].text, item);
      if (what.empty()) return {};
      options.push_back(fmt::format("--allow {}", in_shell_quotes(what)));
    }
  }
  return options.size() > kMostOptions ? std::string{} : fmt::format("{}", fmt::join(options, " "));
}

}  // namespace soleroute::gateway::jail
