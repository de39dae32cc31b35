// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/control_question.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace soleroute::gateway::serve {
namespace {

using nlohmann::json;

constexpr const char* kWhatToAsk = "ask one of: status, reload, watch, allow, deny, allowed, forget, answer";

base::Status read_text(const json& value, const std::string& name, std::string& to) {
  if (!value.is_string()) return base::usage_error(fmt::format("'{}' must be a string", name));
  to = value.get<std::string>();
  return {};
}

base::Status read_lasts(const json& value, ControlQuestion& to) {
  const auto longest = std::chrono::duration_cast<std::chrono::seconds>(kLongestEntry).count();
  const bool fits = value.is_number_unsigned() && value.get<std::uint64_t>() > 0 &&
                    value.get<std::uint64_t>() <= static_cast<std::uint64_t>(longest);
  if (!fits) return base::usage_error(fmt::format("'for_s' must be a number of seconds from 1 to {}", longest));
  to.lasts = std::chrono::seconds(value.get<std::int64_t>());
  return {};
}

base::Status read_field(const std::string& name, const json& value, ControlQuestion& to) {
  if (name == "host") return read_text(value, name, to.host);
  if (name == "agent") return read_text(value, name, to.agent);
  if (name == "verdict") return read_text(value, name, to.verdict);
  if (name == "for_s") return read_lasts(value, to);
  if (name == "save" && value.is_boolean()) {
    to.save = value.get<bool>();
    return {};
  }
  if (name == "id" && value.is_number_unsigned()) {
    to.id = value.get<std::uint64_t>();
    return {};
  }
  return base::usage_error(fmt::format("unknown or wrong field '{}'", base::shown(name)));
}

}  // namespace

base::Result<ControlQuestion> parse_control_question(std::string_view line) {
  const auto object = json::parse(line, nullptr, false);
  const auto ask = object.is_object() ? object.find("ask") : object.end();
  if (!object.is_object() || ask == object.end() || !ask->is_string()) return base::usage_error(kWhatToAsk);
  ControlQuestion question{.ask = ask->get<std::string>()};
  for (const auto& [name, value] : object.items()) {
    if (name == "ask") continue;
    SR_TRY(read_field(name, value, question));
  }
  return question;
}

}  // namespace soleroute::gateway::serve
