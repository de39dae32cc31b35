// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdio>
#include <memory>
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

void print(const Check& check, const CheckResult& result) {
  const auto line = fmt::format("{:<6}  {}: {}\n", result.ok ? "ok" : "FAILED", check.name, result.seen);
  fmt::print("{}", paint_lines(line, use_colour(STDOUT_FILENO)));
  std::fflush(stdout);
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
  std::size_t failures = 0;
  for (std::size_t i = 0; i < checks.size(); ++i) {
    print(checks[i], results[i]);
    if (!results[i].ok) ++failures;
  }
  fmt::print("{} passed, {} failed\n", checks.size() - failures, failures);
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
}

}  // namespace soleroute::gateway::commands
