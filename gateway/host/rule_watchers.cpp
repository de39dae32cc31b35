// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/rule_watchers.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "base/read_file.h"
#include "base/text.h"

namespace soleroute::gateway::host {
namespace {

constexpr std::size_t kMaxTable = std::size_t{1} << 20;
constexpr std::uint32_t kRuleChanges = 1U << (NFNLGRP_NFTABLES - 1U);

std::string_view next_column(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const auto word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

std::optional<std::uint32_t> number(std::string_view text, int base) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "sk Eth Pid Groups …": the socket's address, its protocol, its port, the groups that it hears, in hexadecimal.
bool watches_rules(std::string_view line) {
  next_column(line);
  const auto protocol = number(next_column(line), 10);
  next_column(line);
  const auto groups = number(next_column(line), 16);
  return protocol == NETLINK_NETFILTER && groups && (*groups & kRuleChanges) != 0;
}

}  // namespace

bool has_rule_watcher(std::string_view table) {
  return std::ranges::any_of(base::lines_of(table), watches_rules);
}

bool rules_are_watched() {
  return has_rule_watcher(base::read_file("/proc/net/netlink", kMaxTable).value_or(""));
}

}  // namespace soleroute::gateway::host
