// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/audit/probe.h"
#include "gateway/commands/command.h"
#include "gateway/commands/verify_checks.h"
#include "gateway/host/system_resolvers.h"

namespace soleroute::gateway::commands {
namespace {

struct VerifyOptions {
  std::vector<std::string> allowed;
  std::string denied{audit::kProbeName};  // exists nowhere (RFC 2606) and is in no policy
  std::string guard = "off";
  std::string format = "text";
};

base::Result<base::HostName> parse_name(const char* option, const std::string& text) {
  auto name = base::HostName::parse(text);
  if (!name) return base::usage_error(fmt::format("{}: {}", option, name.error().message));
  return name;
}

base::Result<VerifyRequest> to_request(const VerifyOptions& options) {
  SR_LET(denied, parse_name("--denied", options.denied));
  VerifyRequest request{.denied = std::move(*denied), .allowed = {}, .resolvers = {}};
  for (const std::string& text : options.allowed) {
    SR_LET(name, parse_name("--allowed", text));
    request.allowed.push_back(std::move(*name));
  }
  SR_LET(resolvers, host::system_resolvers());
  request.resolvers = std::move(*resolvers);
  if (options.guard == "check") request.guard = GuardCheck::kAlso;
  if (options.guard == "only") request.guard = GuardCheck::kOnly;
  return request;
}

void print_text(const std::vector<Check>& checks, const std::vector<CheckResult>& results, std::size_t failures) {
  for (std::size_t i = 0; i < checks.size(); ++i) {
    const auto line = fmt::format("{:<6}  {}: {}\n", results[i].ok ? "ok" : "FAILED", checks[i].name, results[i].seen);
    fmt::print("{}", paint_lines(line, use_colour(STDOUT_FILENO)));
  }
  fmt::print("{} passed, {} failed\n", checks.size() - failures, failures);
}

void print_json(const std::vector<Check>& checks, const std::vector<CheckResult>& results, std::size_t failures) {
  using Json = nlohmann::ordered_json;
  auto list = Json::array();
  for (std::size_t i = 0; i < checks.size(); ++i) {
    list.push_back({{"name", checks[i].name}, {"passed", results[i].ok}, {"detail", results[i].seen}});
  }
  const Json result{{"passed", checks.size() - failures}, {"failed", failures}, {"checks", std::move(list)}};
  fmt::print("{}\n", result.dump(2, ' ', true, Json::error_handler_t::replace));
}

// All at once: where nothing answers, each check takes its full time.
std::vector<CheckResult> run_all(const std::vector<Check>& checks) {
  std::vector<CheckResult> results(checks.size());
  std::vector<std::thread> running;
  running.reserve(checks.size());
  for (std::size_t i = 0; i < checks.size(); ++i) {
    running.emplace_back([&check = checks[i], &result = results[i]] { result = check.run(); });
  }
  for (std::thread& thread : running) thread.join();
  return results;
}

int verify(const VerifyOptions& options) {
  const auto request = to_request(options);
  if (!request) return report(request.error());
  if (is_without_gateway(*request)) {
    return report(base::system_error("no gateway answers here (no route, no DNS)").error());
  }
  const auto checks = verify_checks(*request);
  const auto results = run_all(checks);
  const auto failures =
      static_cast<std::size_t>(std::ranges::count_if(results, [](const CheckResult& result) { return !result.ok; }));
  if (options.format == "json") {
    print_json(checks, results, failures);
  } else {
    print_text(checks, results, failures);
  }
  return failures == 0 ? kExitDone : kExitNo;
}

}  // namespace

void add_verify(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<VerifyOptions>();
  CLI::App& command =
      add_command(program, invocation, "verify", "check from inside the sandbox that the policy is enforced",
                  "gateway run -- gateway verify --allowed example.com", [options] { return verify(*options); });
  add_list_option(command, "--allowed", "GATEWAY_VERIFY_ALLOWED", options->allowed, "NAME",
                  "host that the policy allows and that must be reachable");
  command.add_option("--denied", options->denied, "host that the policy must not allow")
      ->capture_default_str()
      ->envname("GATEWAY_VERIFY_DENIED")
      ->type_name("NAME");
  command.add_option("--guard", options->guard, "check the guard's rules in this network namespace too, or only them")
      ->capture_default_str()
      ->envname("GATEWAY_VERIFY_GUARD")
      ->type_name("off|check|only")
      ->check(CLI::IsMember({"off", "check", "only"}).description(""));
  add_format_option(command, options->format);
}

}  // namespace soleroute::gateway::commands
