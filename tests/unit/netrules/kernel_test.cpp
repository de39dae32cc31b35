// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/kernel.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <regex>

#include "netrules/foreign_capture.h"
#include "tests/unit/netrules/support.h"

namespace soleroute::netrules::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NftnlKernel : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string problem = enter_fresh_namespace(); !problem.empty()) GTEST_SKIP() << problem;
    const auto probed = kernel_->probe();
    ASSERT_TRUE(probed) << probed.error().message;
    features_ = *probed;
  }
  [[nodiscard]] bool supports(const Intent& intent) const {
    if (!intent.packet_queue) return true;
    return intent.native_queue ? features_.native_queue : features_.compat_queue;
  }
  void expect_equal(const Ruleset& rules) {
    const auto lines = kernel_->difference(rules);
    ASSERT_TRUE(lines) << lines.error().message;
    EXPECT_THAT(*lines, IsEmpty());
  }
  std::vector<std::string> difference(const Ruleset& rules) {
    const auto lines = kernel_->difference(rules);
    EXPECT_TRUE(lines) << lines.error().message;
    return lines.value_or(std::vector<std::string>{});
  }

  std::unique_ptr<Kernel> kernel_ = make_kernel();
  Features features_;
};

std::string without_counters(const std::string& listing) {
  return std::regex_replace(listing, std::regex("counter packets [0-9]+ bytes [0-9]+"), "counter");
}

// nft lists an xtables target through libxtables, if that is installed, and then as the native form that it is not.
std::string without_queue_rules(const std::string& text) {
  return std::regex_replace(text, std::regex("[^\n]*(queue|NFQUEUE)[^\n]*\n"), "");
}

bool has_compat_queue(const Intent& intent) {
  return intent.packet_queue && !intent.native_queue;
}

TEST_F(NftnlKernel, ListsWhatWasProgrammedExactlyAsTheText) {
  int compared = 0;
  for (const NamedIntent& named : all_intents()) {
    if (!supports(named.intent)) continue;
    const Ruleset rules = rules_of(named);
    const auto status = kernel_->apply(rules);
    ASSERT_TRUE(status) << named.name << ": " << status.error().message;
    const Outcome listed = run({"nft", "list", "table", "inet", rules.table});
    ASSERT_EQ(listed.status, 0) << listed.err;
    const std::string listing = without_counters(listed.out);
    if (has_compat_queue(named.intent)) {
      EXPECT_EQ(without_queue_rules(listing), without_queue_rules(to_text(rules))) << named.name;
    } else {
      EXPECT_EQ(listing, to_text(rules)) << named.name;
    }
    ++compared;
  }
  EXPECT_GE(compared, 16);
}

TEST_F(NftnlKernel, HoldsTheSameExpressionsWhetherTheTextWasLoadedByNftOrTheRulesApplied) {
  for (const NamedIntent& named : all_intents()) {
    if (named.intent.packet_queue && !(named.intent.native_queue && features_.native_queue)) continue;
    const Ruleset rules = rules_of(named);
    const Outcome loaded = run({"nft", "-f", "-"}, "flush ruleset\n" + to_text(rules));
    ASSERT_EQ(loaded.status, 0) << named.name << ": " << loaded.err;
    expect_equal(rules);
    const auto status = kernel_->apply(rules);
    ASSERT_TRUE(status) << status.error().message;
    expect_equal(rules);
  }
}

TEST_F(NftnlKernel, HoldsTheSameExpressionsWhetherTheJsonWasLoadedByNftOrTheRulesApplied) {
  for (const NamedIntent& named : all_intents()) {
    if (named.intent.packet_queue && !(named.intent.native_queue && features_.native_queue)) continue;
    const Ruleset rules = rules_of(named);
    const Outcome loaded = run({"nft", "-j", "-f", "-"}, to_json(rules));
    ASSERT_EQ(loaded.status, 0) << named.name << ": " << loaded.err << to_json(rules);
    expect_equal(rules);
  }
}

// The endpoints of the queue intents, without the rule that this kernel may not have.
TEST_F(NftnlKernel, HoldsTheSameExpressionsOfEveryEndpointForm) {
  for (NamedIntent named : all_intents()) {
    if (named.intent.endpoints.empty()) continue;
    named.intent.packet_queue.reset();
    const Ruleset rules = rules_of(named);
    const Outcome loaded = run({"nft", "-f", "-"}, "flush ruleset\n" + to_text(rules));
    ASSERT_EQ(loaded.status, 0) << named.name << ": " << loaded.err;
    expect_equal(rules);
    ASSERT_EQ(run({"nft", "-j", "-f", "-"}, to_json(rules)).status, 0);
    expect_equal(rules);
    ASSERT_TRUE(kernel_->apply(rules));
    EXPECT_EQ(without_counters(run({"nft", "list", "table", "inet", rules.table}).out), to_text(rules));
  }
}

TEST_F(NftnlKernel, AcceptsTheTextAndTheJsonOfEveryIntentInACheck) {
  for (const NamedIntent& named : all_intents()) {
    const bool native = named.intent.packet_queue && named.intent.native_queue;
    if (native && !features_.native_queue) continue;
    const Ruleset rules = rules_of(named);
    const Outcome text = run({"nft", "-c", "-f", "-"}, to_text(rules));
    EXPECT_EQ(text.status, 0) << named.name << ": " << text.err;
    const Outcome json = run({"nft", "-j", "-c", "-f", "-"}, to_json(rules));
    EXPECT_EQ(json.status, 0) << named.name << ": " << json.err;
  }
  const Outcome control = run({"nft", "-c", "-f", "-"}, "table inet t { chain c { no such thing } }");
  EXPECT_NE(control.status, 0);
}

TEST_F(NftnlKernel, ReplacesItsOwnTableAndTouchesNoOther) {
  const std::string other = "table inet other {\n\tchain c {\n\t\ttcp dport 22 accept\n\t}\n}\n";
  ASSERT_EQ(run({"nft", "-f", "-"}, other).status, 0);
  const Ruleset closed = rules_of({"closed", intent_for(Topology::kRouter), false});
  const Ruleset open = rules_of({"open", intent_for(Topology::kRouter), true});
  ASSERT_TRUE(kernel_->apply(closed));
  ASSERT_TRUE(kernel_->apply(open));
  expect_equal(open);
  EXPECT_FALSE(difference(closed).empty());
  EXPECT_EQ(run({"nft", "list", "table", "inet", "other"}).out, other);
  ASSERT_TRUE(kernel_->remove(open.table));
  EXPECT_THAT(difference(open), ElementsAre("table soleroute: missing"));
  ASSERT_TRUE(kernel_->remove(open.table)) << "removing what is not there is no error";
  EXPECT_EQ(run({"nft", "list", "ruleset"}).out, other);
}

TEST_F(NftnlKernel, LeavesTheOldTableWholeWhenTheNewOneIsRefused) {
  const Ruleset good = rules_of({"open", intent_for(Topology::kJail), true});
  ASSERT_TRUE(kernel_->apply(good));
  Ruleset broken = good;
  broken.chains.front().rules.push_back({{}, {Jump{"nowhere"}}, {}});
  const auto invalid = kernel_->apply(broken);
  ASSERT_FALSE(invalid);
  EXPECT_THAT(invalid.error().message, HasSubstr("jumps to no regular chain"));
  if (!features_.native_queue) {  // refused by the kernel itself, in the middle of the transaction
    Intent intent = intent_for(Topology::kJail);
    intent.packet_queue = 19;
    const auto refused = kernel_->apply(rules_of({"queue", intent, true}));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("report_output"));
  }
  expect_equal(good);
}

struct Tampering {
  const char* command;  // nft's, applied to the open jail rules
  const char* found;    // part of a line of the difference
};

TEST_F(NftnlKernel, TellsEveryTamperingApart) {
  const Ruleset rules = rules_of({"open", intent_for(Topology::kJail), true});
  const Tampering cases[] = {
      {"add rule inet soleroute output accept", "not ours"},
      {"insert rule inet soleroute output tcp dport 25 accept", "chain output rule 1"},
      {"flush chain inet soleroute capture", "missing"},
      {"chain inet soleroute output { policy accept; }", "filter output 0 accept instead of filter output 0 drop"},
      {"add chain inet soleroute extra { type filter hook output priority -500; }", "chain extra: not ours"},
      {"add set inet soleroute s { type ipv4_addr; }", "set s: not ours"},
      {"add table inet soleroute { flags dormant; }", "flags"},
      {"delete table inet soleroute", "table soleroute: missing"},
      {"flush ruleset", "table soleroute: missing"},
  };
  for (const Tampering& tampering : cases) {
    ASSERT_TRUE(kernel_->apply(rules));
    expect_equal(rules);
    const Outcome outcome = run({"nft", "-f", "-"}, tampering.command);
    ASSERT_EQ(outcome.status, 0) << tampering.command << ": " << outcome.err;
    EXPECT_THAT(difference(rules), Contains(HasSubstr(tampering.found))) << tampering.command;
  }
}

TEST_F(NftnlKernel, IgnoresCountersInTheDifference) {
  const Ruleset rules = rules_of({"open", intent_for(Topology::kJail), true});
  ASSERT_TRUE(kernel_->apply(rules));
  ip("addr add 100.64.0.1/32 dev lo");
  ip("route add default dev lo src 100.64.0.1");
  const base::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage name{};
  const unsigned length = base::Endpoint::parse("192.0.2.1:25")->to_sockaddr(name);
  EXPECT_NE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), length), 0);
  ASSERT_THAT(run({"nft", "list", "table", "inet", "soleroute"}).out, HasSubstr("counter packets 1"));
  expect_equal(rules);
}

TEST_F(NftnlKernel, ProbesWhatNftCanDoAndLeavesNothingBehind) {
  EXPECT_TRUE(features_.inet_family);
  EXPECT_TRUE(features_.nat_redirect);
  EXPECT_TRUE(features_.reject);
  EXPECT_TRUE(features_.fib);
  EXPECT_TRUE(features_.native_queue || features_.compat_queue);
  EXPECT_THAT(features_.missing(), IsEmpty());
  const Outcome nft = run({"nft", "-c", "-f", "-"}, "table inet t {\n chain c {\n queue to 1\n }\n }\n");
  EXPECT_EQ(features_.native_queue, nft.status == 0) << nft.err;
  EXPECT_THAT(run({"nft", "list", "ruleset"}).out, IsEmpty());
}

TEST_F(NftnlKernel, ProbesTheSameInANamespaceOfItsOwn) {
  const auto probed = probe_in_scratch_namespace();
  ASSERT_TRUE(probed) << probed.error().message;
  EXPECT_EQ(probed->native_queue, features_.native_queue);
  EXPECT_EQ(probed->compat_queue, features_.compat_queue);
  EXPECT_EQ(probed->fib, features_.fib);
}

TEST_F(NftnlKernel, CarriesManyEndpointsAndManyPortsInOneTransaction) {
  Intent intent = intent_for(Topology::kRouter);
  EndpointRule wide{EndpointRule::Transport::kTcp, std::nullopt, {}, "policy.yaml:1"};
  for (std::uint16_t port = 10000; port < 20000; ++port) wide.ports.push_back(port);
  intent.endpoints.push_back(wide);
  for (std::uint8_t i = 0; i < 200; ++i) {
    const auto address = base::IpAddress::v4(std::array<std::uint8_t, 4>{198, 51, 100, i});
    intent.endpoints.push_back({EndpointRule::Transport::kTcp, *base::Cidr::make(address, 32), {22}, "policy.yaml:2"});
  }
  const auto rules = open_rules(intent);
  ASSERT_TRUE(rules) << rules.error().message;
  const auto status = kernel_->apply(*rules);
  ASSERT_TRUE(status) << status.error().message;
  expect_equal(*rules);
}

TEST(InMemoryKernel, HoldsWhatWasAppliedAndTellsDifferences) {
  const auto kernel = make_in_memory_kernel();
  const Ruleset closed = rules_of({"closed", intent_for(Topology::kRouter), false});
  const Ruleset open = rules_of({"open", intent_for(Topology::kRouter), true});
  EXPECT_THAT(*kernel->difference(closed), ElementsAre("table soleroute: missing"));
  ASSERT_TRUE(kernel->apply(closed));
  EXPECT_THAT(*kernel->difference(closed), IsEmpty());
  EXPECT_FALSE(kernel->difference(open)->empty());
  ASSERT_TRUE(kernel->remove("soleroute"));
  EXPECT_THAT(*kernel->difference(closed), ElementsAre("table soleroute: missing"));
}

TEST(Features, NamesWhatIsMissingAndHowToGetIt) {
  EXPECT_THAT(Features{}.missing(), ElementsAre(HasSubstr("CONFIG_NF_TABLES_INET")));
  Features features{.nat_redirect = true, .reject = false, .inet_family = true, .fib = true};
  EXPECT_THAT(features.missing(), ElementsAre(HasSubstr("nft_reject_inet")));
  features.reject = true;
  EXPECT_THAT(features.missing(), IsEmpty()) << "the queue and IPv6 are not required";
}

TEST_F(NftnlKernel, KnowsWhetherATableThatHoldsAnythingBackIsThere) {
  const auto holds = [this] { return kernel_->holds("soleroute").value(); };
  EXPECT_FALSE(holds());
  for (const bool open : {true, false}) {
    const Intent intent = intent_for(Topology::kRouter);
    ASSERT_TRUE(kernel_->apply(open ? *open_rules(intent) : *closed_rules(intent)));
    EXPECT_TRUE(holds());
  }
  ASSERT_EQ(run({"nft", "add", "table", "inet", "soleroute", "{ flags dormant; }"}).status, 0);
  EXPECT_FALSE(holds()) << "a dormant table filters nothing";
  ASSERT_TRUE(kernel_->remove("soleroute"));
  ASSERT_EQ(run({"nft", "add", "table", "inet", "soleroute"}).status, 0);
  EXPECT_FALSE(holds()) << "an empty one neither";
}

TEST_F(NftnlKernel, NamesTheRulesOfOthersThatComeBeforeCapture) {
  ASSERT_TRUE(kernel_->apply(*open_rules(intent_for(Topology::kRouter))));
  EXPECT_THAT(foreign_captures("soleroute").value(), IsEmpty()) << "our own notrack is our own";
  struct Case {
    const char* chain;  // head of the base chain
    const char* rule;   // there, or in a chain that it jumps to
    const char* found;
  };
  const Case cases[] = {
      {"type filter hook prerouting priority raw;", "udp dport 53 notrack", "table ip other, chain there: notrack"},
      {"type filter hook prerouting priority -150;", "udp dport 53 counter", nullptr},
      {"type nat hook prerouting priority -150;", "tcp dport 80 redirect to :81", "chain there: redirect"},
      {"type nat hook prerouting priority -150;", "tcp dport 80 dnat to 192.0.2.1:80", "chain there: dnat"},
      {"type nat hook prerouting priority dstnat;", "tcp dport 80 dnat to 192.0.2.1:80", nullptr},  // later than ours
      {"type nat hook output priority -150;", "tcp dport 80 dnat to 192.0.2.1:80", nullptr},        // not of agents
  };
  for (const Case& item : cases) {
    for (const bool jumps : {false, true}) {
      const std::string text =
          jumps ? fmt::format("table ip other {{\nchain there {{\n{}\n}}\nchain base {{\n{}\njump there\n}}\n}}\n",
                              item.rule, item.chain)
                : fmt::format("table ip other {{\nchain there {{\n{}\n{}\n}}\n}}\n", item.chain, item.rule);
      const Outcome loaded = run({"nft", "-f", "-"}, text);
      ASSERT_EQ(loaded.status, 0) << loaded.err << text;
      const auto lines = foreign_captures("soleroute");
      ASSERT_TRUE(lines) << lines.error().message;
      if (item.found == nullptr) {
        EXPECT_THAT(*lines, IsEmpty()) << text;
      } else {
        EXPECT_THAT(*lines, ElementsAre(HasSubstr(item.found))) << text;
      }
      ASSERT_EQ(run({"nft", "delete", "table", "ip", "other"}).status, 0);
    }
  }
}

}  // namespace
}  // namespace soleroute::netrules::testing
