// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/control_choice.h"
#include "gateway/commands/control_question.h"
#include "gateway/serve/duration_option.h"
#include "gateway/serve/run_time_entries.h"

namespace soleroute::gateway::commands {
namespace {

using Message = nlohmann::json;

constexpr std::chrono::milliseconds kAskTimeout{30000};  // for the largest policy on a busy machine

struct EntryOptions {
  std::string ask;
  std::vector<std::string> hosts;
  std::string lasts;
  std::string agent;
  bool save = false;
  std::string control = serve::kDefaultControlSocket;
  std::string format = "text";
};

std::string dumped(const Message& object) {
  return object.dump(-1, ' ', true, Message::error_handler_t::replace);
}

base::Result<Message> ask(const std::string& control, const Message& question) {
  SR_LET(line, ask_gateway_object(control, dumped(question), kAskTimeout));
  auto answer = Message::parse(*line, nullptr, false);
  if (!answer.is_object()) {
    return base::system_error("unexpected answer of the control socket: " + base::shown(line->substr(0, 200)));
  }
  if (const auto error = answer.find("error"); error != answer.end() && error->is_string()) {
    return base::system_error("the gateway refused: " + base::shown(error->get<std::string>()));
  }
  return answer;
}

std::string text_of(const Message& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

base::Result<Message> question_of(const EntryOptions& options) {
  Message question{{"ask", options.ask}};
  if (!options.agent.empty()) question["agent"] = options.agent;
  if (options.save) question["save"] = true;
  if (options.lasts.empty()) return question;
  if (options.save) {
    return base::usage_error("--for and --save contradict each other: what is saved has no end");
  }
  SR_LET(lasts, serve::parse_duration("--for", options.lasts));
  question["for_s"] = lasts->count();
  return question;
}

// What was answered about one host, told; the exit status.
int tell(const Message& answer, const std::string& format) {
  const bool accepted = answer.value("accepted", false);
  if (format == "json") fmt::print("{}\n", dumped(answer));
  if (format == "json" && accepted) return kExitDone;
  const std::string detail = text_of(answer, "detail");  // may have lines with a caret: shown as the gateway made it
  if (!accepted) {
    const bool system = answer.value("system", Message()) == true;
    const auto kind = system ? base::ErrorKind::kSystem : base::ErrorKind::kUsage;
    if (format == "json") return system ? kExitSystem : kExitUsage;
    return report({.message = detail, .kind = kind});
  }
  fmt::print("{}\n", detail);
  if (const std::string warning = text_of(answer, "warning"); !warning.empty()) warn(base::shown(warning));
  return kExitDone;
}

int change_entries(const EntryOptions& options) {
  auto question = question_of(options);
  if (!question) return report(question.error());
  const auto control = choose_control_socket(options.control);
  if (!control) return report(control.error());
  int status = kExitDone;
  for (const std::string& host : options.hosts) {
    (*question)["host"] = host;
    const auto answer = ask(*control, *question);
    if (!answer) return report(answer.error());
    status = std::max(status, tell(*answer, options.format));
  }
  return status;
}

std::string left_text(const Message& entry) {
  const auto left = entry.find("left_s");
  if (left == entry.end() || !left->is_number_unsigned()) return "until the gateway stops";
  constexpr std::int64_t kMinute = 60;
  const auto seconds = left->get<std::int64_t>();
  return seconds >= 2 * kMinute ? fmt::format("{} min left", seconds / kMinute) : fmt::format("{} s left", seconds);
}

void print_entries(const Message& entries) {
  std::size_t widest = 0;
  for (const Message& entry : entries) widest = std::max(widest, base::shown(text_of(entry, "host")).size());
  for (const Message& entry : entries) {
    const std::string agent = text_of(entry, "agent");
    fmt::print("{:<5}  {:<{}}  {}{}\n", base::shown(text_of(entry, "action")), base::shown(text_of(entry, "host")),
               widest, left_text(entry), agent.empty() ? "" : ", agent " + base::shown(agent));
  }
  if (entries.empty()) fmt::print("no entries; the policy files alone apply. To add one: gateway allow HOST\n");
}

int list_entries(const EntryOptions& options) {
  const auto control = choose_control_socket(options.control);
  if (!control) return report(control.error());
  const auto answer = ask(*control, {{"ask", "allowed"}});
  if (!answer) return report(answer.error());
  if (options.format == "json") {
    fmt::print("{}\n", dumped(*answer));
    return kExitDone;
  }
  const auto entries = answer->find("entries");
  print_entries(entries != answer->end() && entries->is_array() ? *entries : Message::array());
  return kExitDone;
}

CLI::App& add_entry_command(CLI::App& program, Invocation& invocation, std::string_view name, std::string_view summary,
                            std::string_view example, const std::shared_ptr<EntryOptions>& options) {
  options->ask = name;
  CLI::App& command =
      add_command(program, invocation, name, summary, example, [options] { return change_entries(*options); });
  command.add_option("host", options->hosts, "host, *.host, HOST:PORT, ADDR:PORT, URL or service")
      ->type_name("HOST")
      ->required();
  command.add_option("--agent", options->agent, "for this agent of the policy alone (default: the common policy)")
      ->type_name("NAME");
  add_control_option(command, options->control, "control socket of the gateway");
  add_format_option(command, options->format);
  return command;
}

void add_change_options(CLI::App& command, EntryOptions& options) {
  command.add_option("--for", options.lasts, "how long: 90s, 15m, 2h, 1d (default: until the gateway stops)")
      ->type_name("TIME");
  command.add_flag("--save", options.save, "write it to the policy file, for good");
}

constexpr std::string_view kWhichGateway =
    "It asks the gateway on the default control socket, or the only 'gateway run' of this user.";

}  // namespace

void add_allow(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<EntryOptions>();
  CLI::App& command = add_entry_command(program, invocation, "allow", "allow a host while the gateway runs",
                                        fmt::format("gateway allow api.example.com --for 15m\n"
                                                    "  gateway allow api.example.com --save\n"
                                                    "  docker compose exec proxy gateway allow api.example.com\n\n"
                                                    "It is in force at once and needs no restart. {}",
                                                    kWhichGateway),
                                        options);
  add_change_options(command, *options);
}

void add_deny(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<EntryOptions>();
  CLI::App& command =
      add_entry_command(program, invocation, "deny", "deny a host while the gateway runs, whatever the policy says",
                        fmt::format("gateway deny telemetry.example.com --for 2h\n\n"
                                    "Connections to it end at once. A deny wins over every line that allows. {}",
                                    kWhichGateway),
                        options);
  add_change_options(command, *options);
}

void add_forget(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<EntryOptions>();
  add_entry_command(program, invocation, "forget", "remove what 'allow' or 'deny' added",
                    fmt::format("gateway forget api.example.com\n\n"
                                "What was saved to the policy file stays there. {}",
                                kWhichGateway),
                    options);
}

void add_allowed(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<EntryOptions>();
  CLI::App& command =
      add_command(program, invocation, "allowed", "list what 'allow' and 'deny' added",
                  fmt::format("gateway allowed\n\n{}", kWhichGateway), [options] { return list_entries(*options); });
  add_control_option(command, options->control, "control socket of the gateway");
  add_format_option(command, options->format);
}

}  // namespace soleroute::gateway::commands
