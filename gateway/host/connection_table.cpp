// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/connection_table.h"

#include <fmt/format.h>

#include <charconv>

#include "base/read_file.h"

namespace soleroute::gateway::host {
namespace {

std::uint64_t number_in(const char* path) {
  const std::string text = base::read_file(path, 32).value_or("");
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::optional<std::string> describe_table(std::uint64_t entries, std::uint64_t limit) {
  if (limit == 0 || entries * 100 < limit * kTableFullPercent) return std::nullopt;
  return fmt::format(
      "the kernel's connection table is full ({} of {} entries): new connections and DNS answers are dropped. Raise "
      "net.netfilter.nf_conntrack_max",
      entries, limit);
}

std::optional<std::string> connection_table_problem() {
  return describe_table(number_in("/proc/sys/net/netfilter/nf_conntrack_count"),
                        number_in("/proc/sys/net/netfilter/nf_conntrack_max"));
}

}  // namespace soleroute::gateway::host
