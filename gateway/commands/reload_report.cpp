// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/reload_report.h"

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace soleroute::gateway::commands {

base::Result<ReloadReport> describe_reload(std::string_view answer) {
  const auto object = nlohmann::json::parse(answer, nullptr, false);
  if (object.is_object() && object.contains("error") && object["error"].is_string()) {
    return base::system_error("the gateway answered: " + base::shown(object["error"].get<std::string>()));
  }
  const bool understood = object.is_object() && object.contains("accepted") && object["accepted"].is_boolean() &&
                          object.contains("detail") && object["detail"].is_string();
  if (!understood) {
    return base::system_error("the control socket answered something else: " + base::shown(answer.substr(0, 200)));
  }
  const auto detail = object["detail"].get<std::string>();  // lines with a caret: shown as the gateway made it
  if (!object["accepted"].get<bool>()) {
    return ReloadReport{false, true, detail + "\nThe policy from before stays in force."};
  }
  const auto version = object.contains("version") && object["version"].is_number_unsigned()
                           ? object["version"].get<std::uint64_t>()
                           : std::uint64_t{0};
  std::string behind;
  if (object.contains("behind") && object["behind"].is_array()) {
    for (const auto& worker : object["behind"]) behind += (behind.empty() ? "" : ", ") + worker.dump();
  }
  if (!behind.empty()) {
    return ReloadReport{true, false,
                        fmt::format("policy accepted: {}, version {} since the start. It is not in force yet on worker "
                                    "{}, which gives no sign of life: ask 'gateway status'",
                                    detail, version, behind)};
  }
  return ReloadReport{true, true, fmt::format("policy in force: {}, version {} since the start", detail, version)};
}

}  // namespace soleroute::gateway::commands
