// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netrules/ruleset.h"
#include "tests/unit/netrules/support.h"

namespace soleroute::netrules::testing {
namespace {

using ::testing::HasSubstr;

constexpr BaseChain kInput{ChainType::kFilter, Hook::kInput, kPriorityFilter, ChainPolicy::kDrop};
constexpr BaseChain kOutput{ChainType::kFilter, Hook::kOutput, kPriorityFilter, ChainPolicy::kDrop};
constexpr BaseChain kNat{ChainType::kNat, Hook::kOutput, kPriorityDstNat, ChainPolicy::kAccept};

Ruleset one_rule(const BaseChain& base, Rule rule) {
  return {"t", {{"c", base, {std::move(rule)}}}};
}

TEST(Validate, PassesEveryPlannedRuleset) {
  for (const NamedIntent& named : all_intents()) {
    const auto status = validate(rules_of(named));
    EXPECT_TRUE(status) << named.name << ": " << status.error().message;
  }
}

struct Broken {
  BaseChain base;
  Rule rule;
  const char* why;
};

base::Cidr cidr(const char* text) {
  return *base::Cidr::parse(text);
}

TEST(Validate, RefusesRulesThatNftOrTheKernelWouldRefuseOrReadOtherwise) {
  const Broken cases[] = {
      {kInput, {{}, {}, {}}, "does nothing"},
      {kInput, {{}, {Accept{}, Count{}}, {}}, "continues after its verdict"},
      {kInput, {{}, {Accept{}}, "a \"quote\""}, "comment"},
      {kInput, {{}, {Accept{}}, "two\nlines"}, "comment"},
      {kInput, {{}, {Accept{}}, std::string(128, 'x')}, "comment"},
      {kInput, {{InputInterface{"eth*"}}, {Accept{}}, {}}, "interface name"},  // a wildcard to nft
      {kInput, {{InputInterface{"sixteencharacter"}}, {Accept{}}, {}}, "interface name"},
      {kInput, {{InputInterface{"a\" accept #"}}, {Accept{}}, {}}, "interface name"},
      {kInput, {{InputInterface{""}}, {Accept{}}, {}}, "interface name"},
      {kInput, {{OutputInterface{"lo"}}, {Accept{}}, {}}, "no output interface here"},
      {kOutput, {{InputInterface{"lo"}}, {Accept{}}, {}}, "no input interface here"},
      {kOutput, {{DestinationIsLocal{true}}, {Accept{}}, {}}, "no input interface here"},
      {kOutput, {{SourceHasNoRouteBack{}}, {Drop{}}, {}}, "no input interface here"},
      {kInput, {{NextHopIs{}}, {Accept{}}, {}}, "no route here yet"},
      {kInput, {{DestinationIn{cidr("0.0.0.0/0")}}, {Accept{}}, {}}, "length 0"},
      {kInput, {{DestinationIn{cidr("10.0.0.0/8")}, SourceIn{cidr("2001:db8::/32")}}, {Accept{}}, {}}, "two address"},
      {kInput, {{FamilyIs{}, DestinationIn{cidr("10.0.0.0/8")}}, {Accept{}}, {}}, "family twice"},
      {kInput, {{DestinationIn{cidr("10.0.0.0/8")}, FamilyIs{}}, {Accept{}}, {}}, "family twice"},
      {kInput, {{HasIpOptions{}, HasRoutingHeader{}}, {Drop{}}, {}}, "two address"},
      {kInput, {{ProtocolIs{Protocol::kTcp}, DestinationPorts{Protocol::kTcp, {1}}}, {Accept{}}, {}}, "protocol twice"},
      {kInput, {{ProtocolIs{Protocol::kUdp}, DestinationPorts{Protocol::kTcp, {1}}}, {Accept{}}, {}}, "two protocols"},
      {kInput, {{DestinationPorts{Protocol::kIcmp, {1}}}, {Accept{}}, {}}, "ports of a protocol"},
      {kInput, {{DestinationPorts{Protocol::kTcp, {}}}, {Accept{}}, {}}, "sorted set"},
      {kInput, {{DestinationPorts{Protocol::kTcp, {2, 1}}}, {Accept{}}, {}}, "sorted set"},
      {kInput, {{DestinationPorts{Protocol::kTcp, {1, 1}}}, {Accept{}}, {}}, "sorted set"},
      {kInput, {{DestinationPorts{Protocol::kTcp, {0, 1}}}, {Accept{}}, {}}, "port 0"},
      {kInput, {{DestinationPortRange{Protocol::kTcp, {0, 5}}}, {Accept{}}, {}}, "port 0"},
      {kInput, {{DestinationPortRange{Protocol::kTcp, {5, 5}}}, {Accept{}}, {}}, "does not rise"},
      {kInput, {{DestinationPortRange{Protocol::kIcmp, {5, 6}}}, {Accept{}}, {}}, "ports of a protocol"},
      {kInput, {{IcmpTypeIs{Protocol::kTcp, {1}}}, {Accept{}}, {}}, "ICMP types of another protocol"},
      {kInput, {{IcmpTypeIs{Protocol::kIcmp, {}}}, {Accept{}}, {}}, "sorted set"},
      {kInput, {{ConnectionState{0}}, {Accept{}}, {}}, "no connection state"},
      {kInput, {{PacketMark{0}}, {Accept{}}, {}}, "mark 0"},
      {kInput, {{ConnectionMark{0}}, {Accept{}}, {}}, "mark 0"},
      {kInput, {{}, {SetConnectionMark{0}, Accept{}}, {}}, "mark 0"},
      {kInput, {{WithinRate{0, 1}}, {Accept{}}, {}}, "rate of 0"},
      {kInput, {{}, {NoTrack{}}, {}}, "stop tracking"},
      {kInput, {{}, {RejectWithReset{}}, {}}, "may not be TCP"},
      {kNat, {{}, {RejectAsProhibited{}}, {}}, "cannot reject here"},
      {kNat, {{}, {Drop{}}, {}}, "drops in a nat chain"},
      {kNat, {{}, {Queue{1}}, {}}, "queues in a nat chain"},
      {kNat, {{}, {RedirectTo{80}}, {}}, "without asking for TCP or UDP"},
      {kNat, {{DestinationPorts{Protocol::kTcp, {80}}}, {RedirectTo{0}}, {}}, "port 0"},
      {kInput, {{DestinationPorts{Protocol::kTcp, {80}}}, {RedirectTo{81}}, {}}, "outside a nat chain"},
      {kInput, {{}, {Jump{"c"}}, {}}, "jumps to no regular chain"},
      {kInput, {{}, {Jump{"none"}}, {}}, "jumps to no regular chain"},
  };
  for (const Broken& broken : cases) {
    const auto status = validate(one_rule(broken.base, broken.rule));
    ASSERT_FALSE(status) << to_text(broken.rule) << " should be refused: " << broken.why;
    EXPECT_THAT(status.error().message, HasSubstr(broken.why));
  }
}

TEST(Validate, RefusesTablesAndChainsThatCannotBe) {
  const Rule accept{{}, {Accept{}}, {}};
  const Chain good{"c", kInput, {accept}};
  const BaseChain early_nat{ChainType::kNat, Hook::kOutput, -200, ChainPolicy::kAccept};
  const BaseChain dropping_nat{ChainType::kNat, Hook::kOutput, -100, ChainPolicy::kDrop};
  const std::pair<Ruleset, const char*> cases[] = {
      {{"", {good}}, "not a name for a table"},
      {{"two words", {good}}, "not a name for a table"},
      {{"t; flush ruleset", {good}}, "not a name for a table"},
      {{"t", {{"redirect", kInput, {accept}}}}, "not a name for a chain"},
      {{"t", {good, good}}, "two chains named c"},
      {{"t", {good, {"lonely", std::nullopt, {accept}}}}, "nothing jumps to chain lonely"},
      {{"t", {{"c", early_nat, {}}}}, "before connection tracking"},
      {{"t", {{"c", dropping_nat, {}}}}, "nat chain that drops"},
      {{"t", {{"c", kInput, {accept, accept}}}}, "never reached"},
      {{"t",
        {{"c", kInput, {{{}, {Jump{"a"}}, {}}}},
         {"a", std::nullopt, {{{}, {Jump{"b"}}, {}}}},
         {"b", std::nullopt, {{{}, {Jump{"a"}}, {}}}}}},
       "circle"},
      {{"t",
        {{"c", kInput, {{{}, {Jump{"a"}}, {}}}},
         {"o", kOutput, {{{}, {Jump{"a"}}, {}}}},
         {"a", std::nullopt, {{{OutputInterface{"lo"}}, {Accept{}}, {}}}}}},
       "no output interface here"},  // right from one caller, wrong from the other
  };
  for (const auto& [ruleset, why] : cases) {
    const auto status = validate(ruleset);
    ASSERT_FALSE(status) << why;
    EXPECT_THAT(status.error().message, HasSubstr(why));
  }
  EXPECT_TRUE(validate({"t", {good}})) << "the control";
}

}  // namespace
}  // namespace soleroute::netrules::testing
