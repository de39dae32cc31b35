// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/agent_option.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace soleroute::gateway::commands {
namespace {

std::optional<base::Cidr> range_of(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  auto range = base::Cidr::parse(text);
  return range ? std::optional(*range) : std::nullopt;
}

// "ADDR,ADDR"; nothing: one of them is none.
std::optional<std::vector<base::Cidr>> ranges_of(std::string_view text) {
  std::vector<base::Cidr> ranges;
  for (bool more = true; more;) {
    const auto comma = text.find(',');
    const auto range = range_of(text.substr(0, comma));
    if (!range) return std::nullopt;
    ranges.push_back(*range);
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return ranges;
}

base::Result<serve::AgentFile> parse_agent_file(std::string_view text) {
  const auto equals = text.find('=');
  if (equals != std::string_view::npos && equals > 0) {
    const auto rest = text.substr(equals + 1);
    for (auto colon = rest.rfind(':'); colon != std::string_view::npos && colon > 0;
         colon = rest.rfind(':', colon - 1)) {
      auto ranges = ranges_of(rest.substr(0, colon));
      if (!ranges || colon + 1 == rest.size()) continue;
      return serve::AgentFile{std::string(text.substr(0, equals)), std::move(*ranges),
                              std::string(rest.substr(colon + 1))};
    }
  }
  return base::usage_error(fmt::format("--agent: '{}' is not NAME=ADDR[,ADDR]:FILE", base::shown(text)));
}

}  // namespace

base::Result<std::vector<serve::AgentFile>> parse_agent_files(std::span<const std::string> texts) {
  std::vector<serve::AgentFile> files;
  for (const auto& text : texts) {
    SR_LET(file, parse_agent_file(text));
    files.push_back(std::move(*file));
  }
  return files;
}

}  // namespace soleroute::gateway::commands
