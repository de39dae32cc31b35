// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/doubtful_lines.h"

#include <algorithm>
#include <cstddef>

#include "policy/dns_over_https.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::size_t kLongLabel = 40;  // longer than names that people type
constexpr std::size_t kLongName = 100;
constexpr std::size_t kMixedLabel = 16;  // shorter ones are names of servers too: "ip-10-0-0-7", "d111111abcdef8"
constexpr int kManyChanges = 5;          // between letters and digits, in hexadecimal, base 32 and base 36

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool label_looks_random(std::string_view label) {
  if (label.size() >= kLongLabel) return true;
  if (label.size() < kMixedLabel) return false;
  int changes = 0;
  for (std::size_t i = 1; i < label.size(); ++i) {
    const bool between = label[i] == '-' || label[i - 1] == '-';
    if (!between && is_digit(label[i]) != is_digit(label[i - 1])) ++changes;
  }
  return changes >= kManyChanges;
}

bool is_dns_over_https(const audit::DecisionRecord& refused) {
  const auto names = policy::dns_over_https_names();
  return std::ranges::find(names, std::string_view(refused.host)) != names.end() || refused.path == "/dns-query";
}

}  // namespace

bool looks_random(std::string_view name) {
  if (name.size() >= kLongName) return true;
  while (!name.empty()) {
    const auto dot = std::min(name.find('.'), name.size());
    if (label_looks_random(name.substr(0, dot))) return true;
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return false;
}

std::string doubt_about(const audit::DecisionRecord& refused, const audit::PolicyLines::Line& line) {
  if (line.list == "endpoints" && line.item.starts_with("{cidr:")) return "an address without a name";
  if (line.list != "addresses" && line.item.contains("addresses: [")) return "a non-public address";
  if (is_dns_over_https(refused)) return "answers DNS over HTTPS, which looks up any name";
  if (looks_random(refused.host)) return "the name looks like data";
  return {};
}

}  // namespace soleroute::gateway::commands
