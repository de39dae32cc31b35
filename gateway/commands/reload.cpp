// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/reload.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/control_question.h"

namespace soleroute::gateway::commands {
namespace {

constexpr const char* kNotReloaded = "\nnot reloaded; the previous policy is still active";

}  // namespace

base::Result<ReloadReport> describe_reload(std::string_view answer) {
  const auto object = nlohmann::json::parse(answer, nullptr, false);
  if (object.is_object() && object.contains("error") && object["error"].is_string()) {
    return base::system_error("the gateway refused: " + base::shown(object["error"].get<std::string>()));
  }
  const bool understood = object.is_object() && object.contains("accepted") && object["accepted"].is_boolean() &&
                          object.contains("detail") && object["detail"].is_string();
  if (!understood) {
    return base::system_error("unexpected answer of the control socket: " + base::shown(answer.substr(0, 200)));
  }
  const auto detail = object["detail"].get<std::string>();  // lines with a caret: shown as the gateway made it
  if (!object["accepted"].get<bool>()) {
    const auto system = object.find("system");
    if (system != object.end() && *system == true) return base::system_error(detail + kNotReloaded);
    return ReloadReport{false, true, detail + kNotReloaded};
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
                        fmt::format("reloaded {}, revision {}; not active yet on worker {}, which does not respond. "
                                    "Run: gateway status",
                                    detail, version, behind)};
  }
  const auto warning = object.find("warning");
  if (warning == object.end() || !warning->is_string()) {
    return ReloadReport{true, true, fmt::format("reloaded {}, revision {}", detail, version)};
  }
  const bool replaced = object.value("replaced", nlohmann::json()) == true;
  return ReloadReport{
      true, !replaced,
      fmt::format("reloaded {}, revision {}\nwarning: {}", detail, version, base::shown(warning->get<std::string>()))};
}

namespace {

constexpr std::chrono::milliseconds kReadTimeout{30000};  // for the largest policy on a busy machine

struct ReloadOptions {
  std::string control = serve::kDefaultControlSocket;
  std::string format = "text";
};

int exit_status(const base::Result<ReloadReport>& described) {
  if (!described) return kExitSystem;
  if (!described->accepted) return kExitUsage;
  return described->everywhere ? kExitDone : kExitNo;
}

int reload(const ReloadOptions& options) {
  const auto answer = ask_gateway(options.control, "reload", kReadTimeout);
  if (!answer) return report(answer.error());
  const auto described = describe_reload(*answer);
  if (options.format == "json" && nlohmann::json::parse(*answer, nullptr, false).is_object()) {
    fmt::print("{}", *answer);
    return exit_status(described);
  }
  if (!described) return report(described.error());
  if (!described->accepted) return report({.message = described->text, .kind = base::ErrorKind::kUsage});
  fmt::print("{}\n", described->text);
  return exit_status(described);
}

}  // namespace

void add_reload(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<ReloadOptions>();
  CLI::App& command =
      add_command(program, invocation, "reload", "reload the policy of a running gateway",
                  "docker compose exec proxy gateway reload\n"
                  "  kubectl exec agent -c gateway -- gateway reload\n\n"
                  "Does the same as SIGHUP. If the new policy is wrong, the previous one stays active.\n"
                  "Exit status: 1 if a worker does not respond or a mounted policy file is an old one, "
                  "2 for a wrong policy, 3 if no gateway runs.",
                  [options] { return reload(*options); });
  add_control_option(command, options->control, "control socket of the gateway");
  add_format_option(command, options->format);
}

}  // namespace soleroute::gateway::commands
