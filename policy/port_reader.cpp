// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/port_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "policy/yaml_diagnosis.h"

namespace soleroute::policy {

using base::Status;

namespace {

// A port as policies write it: digits alone, without a leading zero.
std::optional<std::uint16_t> port_number(std::string_view text) {
  constexpr int kMaxPort = 65535;
  int value = 0;  // wide enough to see what is out of range before it is narrowed
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = fault == std::errc{} && end == text.data() + text.size() && !text.starts_with('0');
  if (!whole || value < 1 || value > kMaxPort) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

// One port, or "8000-8100".
Status port_item(const YamlReader& yaml, const YamlNode& node, base::PortRanges& out) {
  const auto dash = node.is_scalar() ? node.text.find('-', 1) : std::string::npos;
  if (dash == std::string::npos) return read_port(yaml, node, out);
  const auto first = port_number(std::string_view(node.text).substr(0, dash));
  const auto last = port_number(std::string_view(node.text).substr(dash + 1));
  if (!first || !last || *first > *last) {
    return yaml.error(node, fmt::format("a range of ports is two numbers from 1 to 65535, the lower one first: "
                                        "8000-8100, not {}",
                                        base::shown(std::string_view(node.text).substr(0, 80))));
  }
  out.push_back({*first, *last});
  return {};
}

}  // namespace

Status read_port(const YamlReader& yaml, const YamlNode& node, base::PortRanges& out) {
  if (type_name(node) != "a number") return yaml.wrong_type(node, "a port", "a number from 1 to 65535");
  const auto number = port_number(node.text);
  if (!number) {
    return yaml.error(node, fmt::format("a port must be a number from 1 to 65535, not {}", base::shown(node.text)));
  }
  out.push_back(base::just(*number));
  return {};
}

// A list of ports and ranges, or one range.
Status read_ports(const YamlReader& yaml, const YamlNode& node, base::PortRanges& out) {
  constexpr std::ptrdiff_t kMaxRanges = 64;  // each is a rule in the kernel
  const auto item = [&](const YamlNode& value) { return port_item(yaml, value, out); };
  const bool one_range = node.is_scalar() && node.text.find('-', 1) != std::string::npos;
  SR_TRY(one_range ? item(node) : yaml.each(node, "ports", false, item));
  out = base::normalised(std::move(out));
  const auto ranges = std::ranges::count_if(out, [](const auto& range) { return !range.is_single(); });
  if (ranges > kMaxRanges) return yaml.error(node, fmt::format("more than {} ranges of ports", kMaxRanges));
  return {};
}

}  // namespace soleroute::policy
