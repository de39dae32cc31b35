// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/status.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/text.h"
#include "gateway/commands/command.h"
#include "gateway/commands/control_question.h"

namespace soleroute::gateway::commands {
namespace {

using nlohmann::json;

constexpr const char* kHealth = "health       ";

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? base::shown(found->get_ref<const std::string&>()) : "";
}

std::uint64_t number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

bool flag_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

json part(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? json{} : *found;
}

std::string duration(std::uint64_t seconds) {
  constexpr std::uint64_t kDay = 86400;
  constexpr std::uint64_t kHour = 3600;
  constexpr std::uint64_t kMinute = 60;
  if (seconds >= kDay) return fmt::format("{} d {} h", seconds / kDay, seconds % kDay / kHour);
  if (seconds >= kHour) return fmt::format("{} h {} min", seconds / kHour, seconds % kHour / kMinute);
  if (seconds >= kMinute) return fmt::format("{} min {} s", seconds / kMinute, seconds % kMinute);
  return fmt::format("{} s", seconds);
}

std::string joined(const json& list) {
  std::string all;
  for (const json& item : list) {
    if (!item.is_string()) continue;
    all += all.empty() ? "" : ", ";
    all += base::shown(item.get_ref<const std::string&>());
  }
  return all;
}

std::string numbers(const json& list) {
  std::string all;
  for (const json& item : list) {
    if (item.is_number_unsigned()) all += (all.empty() ? "" : ", ") + item.dump();
  }
  return all;
}

void describe_policy(std::string& out, const json& policy) {
  const std::string files = joined(part(policy, "files"));
  fmt::format_to(std::back_inserter(out), "policy       {}, {} hosts{}\n",
                 files.empty() ? "none: all network access is blocked" : files, number_of(policy, "hosts"),
                 flag_of(policy, "stale") ? "; the last reload failed" : "");
  const json read = part(policy, "read");
  if (const std::string why = text_of(read, "why"); !why.empty()) {
    fmt::format_to(std::back_inserter(out), "             read {} ago ({})\n", duration(number_of(read, "s_ago")),
                   why == "change"    ? "a file changed"
                   : why == "request" ? "reload requested"
                                      : "start");
  }
  const std::string behind = numbers(part(policy, "behind"));
  if (!behind.empty()) {
    fmt::format_to(std::back_inserter(out), "             not active yet on worker {}\n", behind);
  }
}

void describe_warnings(std::string& out, const json& warnings) {
  for (const json& warning : warnings) {
    if (!warning.is_string()) continue;
    fmt::format_to(std::back_inserter(out), "warning      {}\n", base::shown(warning.get_ref<const std::string&>()));
  }
}

void describe_rules(std::string& out, const json& rules) {
  const json differences = part(rules, "differences");
  fmt::format_to(std::back_inserter(out), "rules        {}, {}\n", text_of(rules, "intended"),
                 differences.empty() ? "unchanged in the kernel" : "modified in the kernel:");
  for (const json& difference : differences) {
    if (difference.is_string()) {
      fmt::format_to(std::back_inserter(out), "             {}\n",
                     base::shown(difference.get_ref<const std::string&>()));
    }
  }
}

void describe_allowed(std::string& out, const json& entries) {
  for (const json& entry : entries) {
    if (!entry.is_object()) continue;
    const std::string agent = text_of(entry, "agent");
    const bool ends = entry.contains("left_s");
    fmt::format_to(std::back_inserter(out), "{:<12} {}{}, {}\n", text_of(entry, "action"), text_of(entry, "host"),
                   agent.empty() ? "" : " for agent " + agent,
                   ends ? duration(number_of(entry, "left_s")) + " left" : "until the gateway stops");
  }
}

void describe_workers(std::string& out, const json& workers, const json& limits) {
  const std::string stalled = numbers(part(workers, "stalled"));
  fmt::format_to(std::back_inserter(out), "workers      {}{}{}\n", number_of(workers, "count"),
                 stalled.empty() ? "" : "; not responding: ", stalled);
  fmt::format_to(std::back_inserter(out), "limits       {} concurrent connections ({} file descriptors)\n",
                 number_of(limits, "connections"), number_of(limits, "descriptors"));
}

void describe_counters(std::string& out, const json& counters) {
  for (const auto& [name, value] : counters.items()) {
    if (value.is_number())
      fmt::format_to(std::back_inserter(out), "  {:<24} {:>14}\n", base::shown(name), value.dump());
  }
}

}  // namespace

base::Result<StatusReport> describe_status(std::string_view answer) {
  const json object = json::parse(answer, nullptr, false);
  if (!object.is_object() || !object.contains("health")) {
    return base::system_error("unexpected answer of the control socket: " + base::shown(answer.substr(0, 200)));
  }
  const std::string health = text_of(object, "health");
  const json policy = part(object, "policy");
  const json rules = part(object, "rules");
  const json counters = part(object, "counters");
  StatusReport report;
  const json log = part(object, "log");
  report.healthy = health == "healthy" && part(rules, "differences").empty() && part(policy, "behind").empty() &&
                   !(policy.is_object() && flag_of(policy, "stale"));
  fmt::format_to(std::back_inserter(report.text), "{}{}\nversion      {}\nrunning for  {}\ntopology     {}\n", kHealth,
                 health, text_of(object, "version"), duration(number_of(object, "uptime_s")),
                 text_of(object, "topology"));
  if (const std::string proxy = text_of(object, "upstream_proxy"); !proxy.empty()) {
    fmt::format_to(std::back_inserter(report.text), "upstream     proxy {}\n", proxy);
  }
  describe_warnings(report.text, part(object, "warnings"));
  if (policy.is_object()) describe_policy(report.text, policy);
  describe_allowed(report.text, part(object, "allowed"));
  if (const auto held = number_of(object, "held"); held > 0) {
    fmt::format_to(std::back_inserter(report.text),
                   "held         {} denied request{} for an answer. Run: gateway watch\n", held,
                   held == 1 ? " waits" : "s wait");
  }
  if (rules.is_object()) describe_rules(report.text, rules);
  if (object.contains("workers")) describe_workers(report.text, part(object, "workers"), part(object, "limits"));
  if (const std::string fault = text_of(log, "detail"); !fault.empty()) {
    fmt::format_to(std::back_inserter(report.text), "log          cannot write: {}\n", fault);
  }
  if (counters.is_object()) {
    fmt::format_to(std::back_inserter(report.text), "connections  {} open\ncounters\n",
                   number_of(counters, "connections_open"));
    describe_counters(report.text, counters);
  }
  return report;
}

namespace {

constexpr std::chrono::milliseconds kAskTimeout{3000};

struct StatusOptions {
  std::string control = serve::kDefaultControlSocket;
  std::string format = "text";
  bool alive = false;
};

// The word behind "health", and warnings.
std::string painted(const std::string& text) {
  const bool colour = use_colour(STDOUT_FILENO);
  const std::size_t word = std::string_view(kHealth).size();
  const std::size_t end = text.find('\n');
  return text.substr(0, word) + paint(text.substr(word, end - word), colour) +
         paint_lines(std::string_view(text).substr(end), colour);
}

int status(const StatusOptions& options) {
  const auto answer = ask_gateway(options.control, "status", kAskTimeout);
  if (!answer) return report(answer.error());
  const auto described = describe_status(*answer);
  if (!described) return report(described.error());
  std::fputs(options.format == "json" ? answer->c_str() : painted(described->text).c_str(), stdout);
  return described->healthy || options.alive ? kExitDone : kExitNo;
}

}  // namespace

void add_status(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<StatusOptions>();
  CLI::App& command =
      add_command(program, invocation, "status", "show health, counters and rule integrity of a running gateway",
                  "gateway status --json", [options] { return status(*options); });
  add_control_option(command, options->control, "control socket of the gateway");
  add_format_option(command, options->format);
  command.add_flag("--alive", options->alive, "exit with status 0 if it answers, healthy or not (liveness probe)");
}

}  // namespace soleroute::gateway::commands
