// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/serve_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "gateway/commands/stack_variables.h"

namespace soleroute::gateway::commands {
namespace {

using ::testing::HasSubstr;

TEST(ServeOptions, AreTheDefaultsWhenNothingIsGiven) {
  const auto options = parse_serve_options({});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->topology, netrules::Topology::kRouter);
  EXPECT_EQ(options->explicit_proxy_port, 8080);
  EXPECT_EQ(options->listen_port, 0);
  EXPECT_TRUE(options->program_rules);
  EXPECT_TRUE(options->policy_files.empty());
  EXPECT_FALSE(options->metrics.has_value());
  EXPECT_EQ(options->log, audit::Verbosity::kNormal);
  EXPECT_TRUE(options->ca_directory.empty());
  EXPECT_TRUE(options->ca_out.empty());
  EXPECT_TRUE(options->trust_files.empty());
}

TEST(ServeOptions, TheProxyAloneIsForThisMachineOutsideAContainer) {
  struct Row {
    const char* topology;
    bool in_container;
    const char* given;
    const char* address;  // "": everywhere
    std::uint16_t port;
  };
  const Row rows[] = {
      {"proxy", false, "8080", "127.0.0.1", 8080},
      {"proxy", true, "8080", "", 8080},
      {"proxy", false, "0.0.0.0:8080", "0.0.0.0", 8080},
      {"proxy", false, "[::]:3128", "::", 3128},
      {"proxy", true, "[::1]:3128", "::1", 3128},
      {"proxy", true, "192.0.2.1:3128", "192.0.2.1", 3128},
      {"router", false, "8080", "", 8080},
      {"router", false, "192.0.2.1:3128", "192.0.2.1", 3128},
      {"sidecar", false, "off", "", 0},
  };
  for (const Row& row : rows) {
    ServeArguments arguments;
    arguments.topology = row.topology;
    arguments.in_container = row.in_container;
    arguments.explicit_proxy = row.given;
    const auto options = parse_serve_options(arguments);
    ASSERT_TRUE(options.has_value()) << row.given;
    EXPECT_EQ(options->explicit_proxy_port, row.port) << row.given;
    const auto& address = options->explicit_proxy_address;
    EXPECT_EQ(address ? address->to_string() : "", row.address) << row.topology << " " << row.given;
  }
  for (const char* wrong :
       {"192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "::1:8080", "[::1]", "localhost:8080", ":8080"}) {
    ServeArguments arguments;
    arguments.explicit_proxy = wrong;
    const auto options = parse_serve_options(arguments);
    ASSERT_FALSE(options.has_value()) << wrong;
    EXPECT_THAT(options.error().message, HasSubstr("is not PORT, ADDR:PORT, [IPV6]:PORT or off")) << wrong;
  }
}

TEST(ServeOptions, CloseIsForTheSidecarAloneAndProgramsRules) {
  struct Row {
    const char* topology;
    bool no_rules;
    const char* dry_run;
    const char* said;  // empty: accepted
  };
  const Row rows[] = {
      {"sidecar", false, "", ""},
      {"router", false, "", "--close needs --topology sidecar"},
      {"proxy", false, "", "--close needs --topology sidecar"},
      {"sidecar", true, "", "exclude each other"},
      {"sidecar", false, "true", "--dry-run"},
  };
  for (const Row& row : rows) {
    ServeArguments arguments;
    arguments.close = true;
    arguments.topology = row.topology;
    arguments.no_rules = row.no_rules;
    arguments.dry_run = row.dry_run;
    const auto options = parse_serve_options(arguments);
    const std::string said = options ? std::string() : options.error().message;
    EXPECT_EQ(options.has_value(), std::string_view(row.said).empty()) << row.topology << said;
    EXPECT_THAT(said, HasSubstr(row.said));
  }
}

TEST(ServeOptions, CarryEveryArgument) {
  const auto options = parse_serve_options({.policy = {"a.yaml", "b.yaml"},
                                            .topology = "sidecar",
                                            .inside = "eth1",
                                            .claim = {"10.77.0.1/24", "2001:db8::1/64"},
                                            .resolver = {"9.9.9.9", "[2001:db8::53]:5353"},
                                            .control = "/tmp/c.sock",
                                            .metrics = "127.0.0.1:9100",
                                            .explicit_proxy = "off",
                                            .listen = "15001",
                                            .no_rules = true,
                                            .workers = 3,
                                            .log = "quiet",
                                            .ca_dir = "/ca",
                                            .ca_out = "/out",
                                            .trust = {"a.pem", "b.pem"},
                                            .dry_run = {}});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->policy_files, (std::vector<std::string>{"a.yaml", "b.yaml"}));
  EXPECT_EQ(options->topology, netrules::Topology::kSidecar);
  EXPECT_EQ(options->inside_interface, "eth1");
  ASSERT_EQ(options->claim.size(), 2U);
  EXPECT_EQ(options->claim[0].to_string(), "10.77.0.1/24");
  ASSERT_EQ(options->resolvers.size(), 2U);
  EXPECT_EQ(options->resolvers[0].to_string(), "9.9.9.9:53");
  EXPECT_EQ(options->resolvers[1].to_string(), "[2001:db8::53]:5353");
  EXPECT_EQ(options->control_socket, "/tmp/c.sock");
  EXPECT_EQ(options->metrics->to_string(), "127.0.0.1:9100");
  EXPECT_EQ(options->explicit_proxy_port, 0);
  EXPECT_EQ(options->listen_port, 15001);
  EXPECT_FALSE(options->program_rules);
  EXPECT_EQ(options->workers, 3);
  EXPECT_EQ(options->log, audit::Verbosity::kQuiet);
  EXPECT_EQ(options->ca_directory, "/ca");
  EXPECT_EQ(options->ca_out, "/out");
  EXPECT_EQ(options->trust_files, (std::vector<std::string>{"a.pem", "b.pem"}));
}

TEST(ServeOptions, RefuseWhatTheyCannotMeanAndNameTheOption) {
  struct Row {
    std::function<void(ServeArguments&)> set;
    const char* message;
  };
  const Row rows[] = {
      {[](auto& a) { a.topology = "bridge"; }, "--topology: 'bridge' is not one of router, sidecar, proxy"},
      {[](auto& a) { a.topology = "jail"; }, "needs --dry-run"},
      {[](auto& a) { a.topology = "guard"; }, "needs --dry-run"},
      {[](auto& a) { a.mode = "log"; }, "--mode: 'log' is not one of enforce, observe"},
      {[](auto& a) { a.topology = "proxy", a.explicit_proxy = "off"; }, "--topology proxy needs --explicit-proxy"},
      {[](auto& a) { a.topology = "proxy", a.dry_run = "true"; }, "--topology proxy installs no rules"},
      {[](auto& a) { a.log = "loud"; }, "--log: 'loud' is not one of quiet, normal, debug"},
      {[](auto& a) { a.claim = {"10.77.0.1"}; }, "--claim: 10.77.0.1 has no prefix length, as in 10.77.0.1/24"},
      {[](auto& a) { a.explicit_proxy = "0"; }, "--explicit-proxy: '0' is not a port"},
      {[](auto& a) { a.explicit_proxy = "65536"; }, "--explicit-proxy: '65536' is not a port"},
      {[](auto& a) { a.explicit_proxy = ""; }, "--explicit-proxy: '' is not a port"},
      {[](auto& a) { a.listen = "80a"; }, "--listen: '80a' is not a port"},
      {[](auto& a) { a.listen = "-1"; }, "--listen: '-1' is not a port"},
      {[](auto& a) { a.claim = {"10.77.0.1/33"}; }, "--claim: "},
      {[](auto& a) { a.claim = {"10.77.0.1/24", "10.78.0.1/24"}; }, "--claim: at most one address of each family"},
      {[](auto& a) { a.resolver = {"dns.example"}; }, "--resolver: "},
      {[](auto& a) { a.metrics = "127.0.0.1"; }, "--metrics: "},
      {[](auto& a) { a.log = "x\x1b[2J"; }, "\\u{001b}"},
  };
  for (const Row& row : rows) {
    ServeArguments arguments;
    row.set(arguments);
    const auto options = parse_serve_options(arguments);
    ASSERT_FALSE(options.has_value()) << row.message;
    EXPECT_EQ(options.error().kind, base::ErrorKind::kUsage) << row.message;
    EXPECT_THAT(options.error().message, HasSubstr(row.message));
  }
}

TEST(ServeOptions, TakeEveryTopologyForADryRun) {
  for (const char* topology : {"router", "sidecar", "jail", "guard"}) {
    ServeArguments arguments;
    arguments.topology = topology;
    arguments.dry_run = "true";
    EXPECT_TRUE(parse_serve_options(arguments).has_value()) << topology;
  }
}

TEST(ServeOptions, MakeTheProxyAloneNeedNoPrivilege) {
  ServeArguments arguments;
  arguments.topology = "proxy";
  const auto options = parse_serve_options(arguments);
  ASSERT_TRUE(options.has_value());
  EXPECT_TRUE(options->proxy_only);
  EXPECT_FALSE(options->program_rules);
  EXPECT_FALSE(parse_serve_options({})->proxy_only) << "control";
}

TEST(StackVariables, CountWhereNothingElseIsSaid) {
  ServeArguments arguments;
  ASSERT_TRUE(apply({"/etc/mitmproxy/policy.yaml", "log", "quiet", "claude"}, arguments));
  EXPECT_EQ(arguments.policy, (std::vector<std::string>{"/etc/mitmproxy/policy.yaml"}));
  EXPECT_EQ(arguments.mode, "observe");
  EXPECT_EQ(arguments.log, "quiet");
  EXPECT_EQ(arguments.base_service, "") << "a named file is the whole policy";
  ServeArguments given;
  given.policy = {"mine.yaml"};
  given.mode = "enforce";
  ASSERT_TRUE(apply({"/etc/mitmproxy/policy.yaml", "log", "normal", ""}, given));
  EXPECT_EQ(given.policy, (std::vector<std::string>{"mine.yaml"}));
  EXPECT_EQ(given.mode, "enforce") << "the gateway's own option is not loosened";
  EXPECT_EQ(given.log, "normal");
}

TEST(StackVariables, AbsentLeaveEverythingAsItIs) {
  ServeArguments arguments;
  ASSERT_TRUE(apply({}, arguments));
  EXPECT_TRUE(arguments.policy.empty());
  EXPECT_EQ(arguments.mode, "") << "the policy's own mode, which is enforce";
}

TEST(StackVariables, MakeLayersOfTheActiveAgent) {
  ServeArguments arguments;
  ASSERT_TRUE(apply({"", "enforce", "", "claude"}, arguments));
  EXPECT_EQ(arguments.base_service, "claude");
  ASSERT_EQ(arguments.optional_policy.size(), 3U);
  EXPECT_EQ(arguments.optional_policy[0], "/etc/agent-sandbox/policy/user.policy.yaml");
  EXPECT_EQ(arguments.mode, "enforce");
}

TEST(StackVariables, RefuseWhatTheyCannotMean) {
  for (const StackVariables& bad :
       {StackVariables{"", "Enforce", "", ""}, StackVariables{"", "off", "", ""}, StackVariables{"", "log\n", "", ""},
        StackVariables{"", "", "", "x], mode: observe #"}}) {
    ServeArguments arguments;
    const auto applied = apply(bad, arguments);
    ASSERT_FALSE(applied.has_value()) << bad.proxy_mode << bad.active_agent;
    EXPECT_EQ(applied.error().kind, base::ErrorKind::kUsage);
    EXPECT_EQ(applied.error().message.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace soleroute::gateway::commands
