// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/dry_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "gateway/serve/rule_intent.h"
#include "tests/unit/netrules/support.h"

namespace soleroute::gateway::commands {
namespace {

using netrules::Topology;
using netrules::testing::enter_fresh_namespace;
using netrules::testing::Outcome;
using netrules::testing::run;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kPolicy =
    "domains:\n"
    "  - registry.npmjs.org\n"
    "  - \"*.example.com\"\n"
    "endpoints:\n"
    "  - {host: db.example.net, port: 5432, protocol: tcp}\n"
    "  - {cidr: 192.0.2.0/28, ports: [8000, 8001]}\n"
    "  - {host: time.example.net, port: 123, protocol: udp}\n";

std::shared_ptr<const policy::Policy> policy_of(const char* text) {
  const policy::PolicySource source{"policy.yaml", text};
  const auto policy = policy::Policy::compile({&source, 1});
  if (!policy) ADD_FAILURE() << policy.error().message;
  return policy.value_or(nullptr);
}

base::Result<netrules::Features> features(bool native, bool compat) {
  return netrules::Features{.native_queue = native, .compat_queue = compat};
}

std::string output(const serve::ServeOptions& options, DryRunFormat format,
                   const base::Result<netrules::Features>& known = features(false, true)) {
  const auto policy = policy_of(kPolicy);
  const auto text = dry_run_output(shown_intent(serve::intent_of(options, *policy), options, known), *policy, format);
  if (!text) ADD_FAILURE() << text.error().message;
  return text.value_or("");
}

const Topology kTopologies[] = {Topology::kRouter, Topology::kSidecar, Topology::kJail, Topology::kGuard};

TEST(DryRun, SaysWhatStandsForWhatOnlyServingWillKnow) {
  serve::ServeOptions options;
  std::string text = output(options, DryRunFormat::kText);
  EXPECT_THAT(text, HasSubstr("# Port 15001 is an example"));
  EXPECT_THAT(text, HasSubstr("# Port 15002 is an example"));
  EXPECT_THAT(text, HasSubstr("# Interface inside0 is an example"));
  options.inside_interface = "eth1";
  options.listen_port = 15002;
  text = output(options, DryRunFormat::kText);
  EXPECT_THAT(text, HasSubstr("iifname \"eth1\" tcp dport { 80, 443 } redirect to :15002"));
  EXPECT_THAT(text, Not(HasSubstr("is an example: pass --inside")));
  EXPECT_THAT(text, HasSubstr("udp dport 53 redirect to :15001"));
  options.topology = Topology::kGuard;
  EXPECT_THAT(output(options, DryRunFormat::kText), HasSubstr("# Address 192.0.2.1 is an example"));
  options.claim = {*base::InterfaceAddress::parse("172.30.0.2/24")};
  EXPECT_THAT(output(options, DryRunFormat::kText), HasSubstr("rt ip nexthop 172.30.0.2 tcp dport"));
}

TEST(DryRun, ShowsThePolicyAsCommentsAndItsEndpointsAsRules) {
  const std::string text = output({}, DryRunFormat::kText);
  EXPECT_THAT(text, HasSubstr("registry.npmjs.org"));
  EXPECT_THAT(text, HasSubstr("*.example.com"));
  EXPECT_THAT(text, HasSubstr("tcp dport 5432 redirect to :15001 comment \"policy.yaml:5\""));
  EXPECT_THAT(text, HasSubstr("ip daddr 192.0.2.0/28 tcp dport { 8000, 8001 } redirect to :15001"));
  EXPECT_THAT(text, HasSubstr("udp dport 123"));
  std::vector<std::string> before_the_table;
  std::istringstream lines(text.substr(0, text.find("\ntable inet")));
  for (std::string line; std::getline(lines, line);) before_the_table.push_back(line);
  EXPECT_THAT(before_the_table, Each(StartsWith("#")));
}

TEST(DryRun, ShowsTheQueueThatTheKernelHas) {
  EXPECT_THAT(output({}, DryRunFormat::kText, features(true, true)), HasSubstr("counter queue to 19"));
  EXPECT_THAT(output({}, DryRunFormat::kText, features(false, true)), HasSubstr("# iifname"));
  EXPECT_THAT(output({}, DryRunFormat::kText, features(false, false)), HasSubstr("cannot queue packets"));
  const auto unknown = base::Result<netrules::Features>(base::system_error("forbidden"));
  EXPECT_THAT(output({}, DryRunFormat::kText, unknown), HasSubstr("not checked: needs user namespaces"));
}

TEST(DryRun, SaysThatNobodyProgramsTheRulesWithoutThem) {
  serve::ServeOptions options;
  options.program_rules = false;
  EXPECT_THAT(output(options, DryRunFormat::kText), HasSubstr("--no-rules"));
}

TEST(DryRun, IsAcceptedByNftInEveryTopologyAndBothFormats) {
  if (const std::string problem = enter_fresh_namespace(); !problem.empty()) GTEST_SKIP() << problem;
  const auto probed = netrules::make_kernel()->probe();
  ASSERT_TRUE(probed) << probed.error().message;
  for (const Topology topology : kTopologies) {
    serve::ServeOptions options;
    options.topology = topology;
    const Outcome text = run({"nft", "-c", "-f", "-"}, output(options, DryRunFormat::kText, *probed));
    EXPECT_EQ(text.status, 0) << text.err;
    const Outcome json = run({"nft", "-j", "-c", "-f", "-"}, output(options, DryRunFormat::kJson, *probed));
    EXPECT_EQ(json.status, 0) << json.err;
  }
  EXPECT_THAT(run({"nft", "list", "ruleset"}).out, IsEmpty());
  EXPECT_NE(run({"nft", "-c", "-f", "-"}, "table inet t { nonsense }").status, 0) << "the control";
}

TEST(DryRun, CarriesThePolicyInTheJsonToo) {
  const auto object = nlohmann::json::parse(output({}, DryRunFormat::kJson));
  EXPECT_TRUE(object.at("nftables").is_array());
  EXPECT_EQ(object.at("soleroute").at("topology"), "router");
  EXPECT_THAT(object.at("soleroute").at("policy").dump(), HasSubstr("registry.npmjs.org"));
}

}  // namespace
}  // namespace soleroute::gateway::commands
