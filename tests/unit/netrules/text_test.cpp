// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "netrules/ruleset.h"
#include "tests/unit/netrules/support.h"

namespace soleroute::netrules::testing {
namespace {

using ::testing::HasSubstr;

struct Line {
  Rule rule;
  const char* text;
};

base::Cidr cidr(const char* text) {
  return *base::Cidr::parse(text);
}

TEST(RuleText, IsWhatNftPrints) {
  const Line lines[] = {
      {{{InputInterface{"in0"}}, {Accept{}}, {}}, "iifname \"in0\" accept"},
      {{{InputInterface{"in0", true}}, {Drop{}}, {}}, "iifname != \"in0\" drop"},
      {{{OutputInterface{"lo"}}, {Return{}}, {}}, "oifname \"lo\" return"},
      {{{FamilyIs{base::Family::kV6}}, {Drop{}}, {}}, "meta nfproto ipv6 drop"},
      {{{ProtocolIs{Protocol::kIcmpv6}}, {Drop{}}, {}}, "meta l4proto ipv6-icmp drop"},
      {{{SourceIn{cidr("10.0.0.0/8")}}, {Drop{}}, {}}, "ip saddr 10.0.0.0/8 drop"},
      {{{DestinationIn{cidr("192.0.2.1")}}, {Drop{}}, {}}, "ip daddr 192.0.2.1 drop"},
      {{{DestinationIn{cidr("2001:db8::/32")}}, {Drop{}}, {}}, "ip6 daddr 2001:db8::/32 drop"},
      {{{DestinationPorts{Protocol::kTcp, {80}}}, {Accept{}}, {}}, "tcp dport 80 accept"},
      {{{DestinationPorts{Protocol::kUdp, {53, 443}}}, {Accept{}}, {}}, "udp dport { 53, 443 } accept"},
      {{{DestinationPortRange{Protocol::kTcp, {8000, 8100}}}, {Accept{}}, {}}, "tcp dport 8000-8100 accept"},
      {{{ConnectionState{ConnectionState::kRelated | ConnectionState::kEstablished}}, {Accept{}}, {}},
       "ct state established,related accept"},
      {{{DestinationWasRedirected{}, Direction{true}}, {Accept{}}, {}}, "ct status dnat ct direction reply accept"},
      {{{ConnectionMark{0x51}}, {Accept{}}, {}}, "ct mark 0x00000051 accept"},
      {{{PacketMark{0x51}}, {SetConnectionMark{0x51}, Accept{}}, {}},
       "meta mark 0x00000051 ct mark set 0x00000051 accept"},
      {{{DestinationIsLocal{true}}, {Accept{}}, {}}, "fib daddr . iif type local accept"},
      {{{SourceHasNoRouteBack{}}, {Count{}, Drop{}}, "spoofed"},
       "fib saddr . iif oif missing counter drop comment \"spoofed\""},
      {{{IcmpTypeIs{Protocol::kIcmp, {8}}}, {Accept{}}, {}}, "icmp type echo-request accept"},
      {{{IcmpTypeIs{Protocol::kIcmpv6, {135, 136}}}, {Accept{}}, {}},
       "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"},
      {{{HasIpOptions{}}, {Drop{}}, {}}, "ip hdrlength > 5 drop"},
      {{{HasRoutingHeader{}}, {Drop{}}, {}}, "exthdr rt exists drop"},
      {{{NextHopIs{*base::IpAddress::parse("fe80::1")}}, {Accept{}}, {}}, "rt ip6 nexthop fe80::1 accept"},
      {{{WithinRate{100, 20}}, {Queue{19}}, {}}, "limit rate 100/second burst 20 packets queue to 19"},
      {{{ProtocolIs{Protocol::kTcp}}, {Count{}, RejectWithReset{}}, {}},
       "meta l4proto tcp counter reject with tcp reset"},
      {{{}, {RejectAsProhibited{}}, {}}, "reject with icmpx admin-prohibited"},
      {{{}, {NoTrack{}}, {}}, "notrack"},
      {{{}, {Jump{"wanted"}}, {}}, "jump wanted"},
      {{{DestinationPorts{Protocol::kTcp, {80}}}, {RedirectTo{15001}}, {}}, "tcp dport 80 redirect to :15001"},
      {{{}, {CompatQueue{19}}, {}}, "# xtables NFQUEUE num 19"},
  };
  for (const Line& line : lines) EXPECT_EQ(to_text(line.rule), line.text);
}

TEST(PriorityText, NamesTheNeighbourThatTheHookKnows) {
  EXPECT_EQ(priority_text(0, Hook::kInput), "filter");
  EXPECT_EQ(priority_text(-10, Hook::kForward), "filter - 10");
  EXPECT_EQ(priority_text(11, Hook::kForward), "11");
  EXPECT_EQ(priority_text(-300, Hook::kPrerouting), "raw");
  EXPECT_EQ(priority_text(-110, Hook::kPrerouting), "dstnat - 10");
  EXPECT_EQ(priority_text(-110, Hook::kOutput), "-110") << "dstnat has a name in prerouting only";
  EXPECT_EQ(priority_text(101, Hook::kPostrouting), "srcnat + 1");
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// SOLEROUTE_UPDATE_GOLDEN=1 writes the files anew; the diff is then the review.
TEST(GoldenRules, AreAsReviewed) {
  for (const NamedIntent& named : all_intents()) {
    const std::string path = std::string(SOLEROUTE_SOURCE_DIR) + "/tests/golden/" + named.name + ".nft";
    const std::string text = to_text(rules_of(named));
    if (std::getenv("SOLEROUTE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
    EXPECT_EQ(text, read_file(path)) << path;
  }
}

TEST(Json, LeavesOutOnlyTheRuleThatItsSchemaCannotSay) {
  NamedIntent named{"router", intent_for(Topology::kRouter), true};
  named.intent.packet_queue = 19;
  EXPECT_THAT(to_json(rules_of(named)), HasSubstr("\"queue\""));
  named.intent.native_queue = false;
  const std::string json = to_json(rules_of(named));
  EXPECT_THAT(json, ::testing::Not(HasSubstr("NFQUEUE")));
  EXPECT_THAT(json, HasSubstr("report_prerouting"));
  EXPECT_THAT(json, HasSubstr("admin-prohibited"));
}

}  // namespace
}  // namespace soleroute::netrules::testing
