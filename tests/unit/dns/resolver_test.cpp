// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "gateway/dns/cache.h"
#include "tests/support/await.h"
#include "tests/support/dns_wire.h"
#include "tests/support/scripted_upstream.h"

namespace soleroute::gateway::dns {
namespace {

namespace wire = testing::dns_wire;
using sniffer::DnsType;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::ScriptedUpstream;
using testing::UpstreamQuestion;
using testing::UpstreamReply;
using Replies = ScriptedUpstream::Replies;
using Found = base::Result<Addresses>;

base::HostName host(const std::string& text) {
  return base::HostName::parse(text).value();
}
base::IpAddress address(const char* text) {
  return base::IpAddress::parse(text).value();
}

constexpr const char* kV4 = "45.33.32.10";
constexpr const char* kV6 = "2600:3c00::10";
const std::string kV4Bytes("\x2d\x21\x20\x0a", 4);

Replies honest(const UpstreamQuestion& question) {
  return {{question.addresses({kV4, kV6})}};
}

// One worker's resolver over scripted servers.
struct Lab {
  explicit Lab(std::vector<base::Endpoint> upstreams, ResolverOptions options = quick()) {
    options.upstreams.assign(upstreams.begin(), upstreams.end());
    resolver.emplace(io, options, cache, names, counters);
  }
  explicit Lab(const ScriptedUpstream& upstream) : Lab(std::vector{upstream.endpoint()}) {}
  static ResolverOptions quick() {
    ResolverOptions options;
    options.attempt_timeout = milliseconds(400);
    options.total_timeout = milliseconds(1000);
    return options;
  }

  Found resolve(const std::string& name) { return testing::await(io, resolver->resolve(host(name))); }
  auto lookup(const std::string& name, DnsType type) { return testing::await(io, resolver->lookup(host(name), type)); }

  boost::asio::io_context io{1};
  std::shared_ptr<Cache> cache = make_cache();
  std::shared_ptr<ReverseNames> names = std::make_shared<ReverseNames>();
  audit::Counters counters;
  std::optional<Resolver> resolver;
};

TEST(Resolver, AsksBothFamiliesAndRemembersWhatTheyLeadTo) {
  ScriptedUpstream upstream(honest);
  Lab lab(upstream);
  const auto found = lab.resolve("allowed.test");
  ASSERT_TRUE(found);
  EXPECT_THAT(found->v4, ElementsAre(address(kV4)));
  EXPECT_THAT(found->v6, ElementsAre(address(kV6)));
  EXPECT_EQ(found->ttl, seconds(60));
  EXPECT_EQ(upstream.count("allowed.test", 1), 1U);
  EXPECT_EQ(upstream.count("allowed.test", 28), 1U);
  EXPECT_TRUE(lab.names->leads_to(host("allowed.test"), address(kV4)));
  EXPECT_TRUE(lab.names->leads_to(host("allowed.test"), address(kV6)));
}

TEST(Resolver, AnswersFromTheCacheTheSecondTime) {
  ScriptedUpstream upstream(honest);
  Lab lab(upstream);
  EXPECT_EQ(lab.resolver->cached(host("allowed.test")), nullptr);
  ASSERT_TRUE(lab.resolve("allowed.test"));
  const auto cached = lab.resolver->cached(host("allowed.test"));
  ASSERT_NE(cached, nullptr);
  EXPECT_THAT(cached->v4, ElementsAre(address(kV4)));
  ASSERT_TRUE(lab.resolve("allowed.test"));
  EXPECT_EQ(upstream.seen().size(), 2U) << "A and AAAA, once each";
}

TEST(Resolver, ManyIdenticalQuestionsCostOne) {
  ScriptedUpstream upstream(honest);
  Lab lab(upstream);
  std::vector<std::optional<Found>> results(50);
  for (auto& result : results) testing::start(lab.io, lab.resolver->resolve(host("allowed.test")), result);
  testing::run_until(lab.io, [&] { return std::ranges::all_of(results, [](const auto& r) { return r.has_value(); }); });
  for (const auto& result : results) EXPECT_TRUE(result->has_value());
  EXPECT_EQ(upstream.seen().size(), 2U);
}

TEST(Resolver, CapsTheTimeToLiveBothWays) {
  ScriptedUpstream upstream([](const UpstreamQuestion& question) {
    return Replies{{question.addresses({kV4, kV6}, question.name == "long.test" ? 100000 : 0)}};
  });
  Lab lab(upstream);
  EXPECT_EQ(lab.resolve("long.test")->ttl, seconds(300));
  EXPECT_EQ(lab.resolve("short.test")->ttl, seconds(1));
}

TEST(Resolver, RemembersThatANameDoesNotExistButNotForLong) {
  ScriptedUpstream upstream([](const UpstreamQuestion& question) {
    const auto soa = wire::record(wire::name("test"), 6, 86400, wire::soa(86400));
    return Replies{{question.response({.authorities = 1}, soa, 0x8183)}};
  });
  Lab lab(upstream);
  const auto found = lab.resolve("gone.test");
  ASSERT_TRUE(found) << "no such name is an answer, not a failure";
  EXPECT_THAT(found->v4, IsEmpty());
  ASSERT_TRUE(lab.resolve("gone.test"));
  EXPECT_EQ(upstream.seen().size(), 2U);
  const auto set = lab.resolver->cached(host("gone.test"), DnsType::kA);
  ASSERT_NE(set, nullptr);
  EXPECT_FALSE(set->name_exists);
  EXPECT_LE(set->expires, Clock::now() + seconds(60));
}

TEST(Resolver, AServerFailureIsAnErrorAndRememberedForAMoment) {
  ScriptedUpstream upstream([](const UpstreamQuestion& question) { return Replies{{question.error(2)}}; });
  Lab lab(upstream);
  EXPECT_FALSE(lab.resolve("broken.test"));
  const auto asked = upstream.seen().size();
  EXPECT_FALSE(lab.resolve("broken.test"));
  EXPECT_EQ(upstream.seen().size(), asked);
  EXPECT_EQ(lab.counters.dns_upstream_failures.load(), 2U);
}

TEST(Resolver, GoesOnToTheNextServerWhenOneFails) {
  ScriptedUpstream bad([](const UpstreamQuestion& question) { return Replies{{question.error(5)}}; });
  ScriptedUpstream good(honest);
  Lab lab({bad.endpoint(), good.endpoint()});
  const auto found = lab.resolve("allowed.test");
  ASSERT_TRUE(found);
  EXPECT_THAT(found->v4, ElementsAre(address(kV4)));
  EXPECT_EQ(bad.count("allowed.test", 1), 2U) << "with EDNS and without it";
}

TEST(Resolver, AServerThatDoesNotAnswerIsTriedLastAfterwards) {
  ScriptedUpstream silent([](const UpstreamQuestion&) { return Replies{}; });
  ScriptedUpstream good(honest);
  Lab lab({silent.endpoint(), good.endpoint()});
  ASSERT_TRUE(lab.resolve("first.test"));
  ASSERT_TRUE(lab.resolve("second.test"));
  ASSERT_TRUE(lab.resolve("third.test"));
  EXPECT_EQ(silent.count("first.test", 1), 2U) << "with EDNS and without it";
  EXPECT_EQ(silent.count("third.test"), 0U) << "two zones tell that it is the server";
}

TEST(Resolver, AServerThatOneZoneIsSilentToKeepsItsPlace) {
  ScriptedUpstream first([](const UpstreamQuestion& question) {
    return question.name.ends_with(".wild.test") ? Replies{} : honest(question);
  });
  ScriptedUpstream second(honest);
  Lab lab({first.endpoint(), second.endpoint()});
  ASSERT_TRUE(lab.resolve("allowed.test"));
  for (const char* const name : {"a.wild.test", "b.wild.test", "c.wild.test"}) ASSERT_TRUE(lab.resolve(name));
  ASSERT_TRUE(lab.resolve("other.test"));
  EXPECT_EQ(first.count("other.test", 1), 1U);
  EXPECT_EQ(second.count("other.test"), 0U);
}

TEST(Resolver, TellsWhatItKnewWhileUpstreamTellsNothing) {
  ScriptedUpstream silent([](const UpstreamQuestion&) { return Replies{}; });
  Lab lab(silent);
  auto known = std::make_shared<RecordSet>();
  known->addresses = {address(kV4)};
  known->expires = Clock::now() - seconds(10);
  lab.cache->store(host("allowed.test"), DnsType::kA, known);
  const auto found = lab.resolve("allowed.test");
  ASSERT_TRUE(found);
  EXPECT_THAT(found->v4, ElementsAre(address(kV4)));
  EXPECT_LE(found->ttl, Cache::kStaleTtl);
  const auto told = lab.lookup("allowed.test", DnsType::kA);
  ASSERT_TRUE(told);
  EXPECT_TRUE((*told)->stale_since.has_value()) << "the same on the path of DNS";
  EXPECT_EQ(silent.count("allowed.test", 1), 4U) << "one flight with its repetitions, then nothing for half a minute";
  EXPECT_EQ(lab.counters.dns_stale_answers, 1U);
  EXPECT_FALSE(lab.resolve("unknown.test")) << "the control: what was never known is not made up";
}

TEST(Resolver, AServerThatIsNotThereCostsNoTime) {
  ScriptedUpstream good(honest);
  std::uint16_t closed_port = 0;
  {
    ScriptedUpstream gone(honest);
    closed_port = gone.endpoint().port;
  }
  ResolverOptions options;  // an attempt may last 1.5 s
  Lab lab({{address("127.0.0.1"), closed_port}, good.endpoint()}, options);
  const auto begin = Clock::now();
  ASSERT_TRUE(lab.resolve("allowed.test"));
  EXPECT_LT(Clock::now() - begin, milliseconds(1000));
}

TEST(Resolver, ASilentUpstreamStallsNoOtherName) {
  ScriptedUpstream upstream(
      [](const UpstreamQuestion& question) { return question.name == "slow.test" ? Replies{} : honest(question); });
  Lab lab(upstream);
  std::optional<Found> slow;
  testing::start(lab.io, lab.resolver->resolve(host("slow.test")), slow);
  const auto quick = lab.resolve("allowed.test");
  EXPECT_TRUE(quick);
  EXPECT_FALSE(slow.has_value()) << "the slow name is still waited for";
  testing::run_until(lab.io, [&] { return slow.has_value(); });
  EXPECT_FALSE(slow->has_value());
}

TEST(Resolver, ALateFamilyHoldsTheOtherUpOnlyBriefly) {
  ScriptedUpstream upstream(
      [](const UpstreamQuestion& question) { return question.type == 28 ? Replies{} : honest(question); });
  ResolverOptions options;  // AAAA would be waited for five seconds
  Lab lab({upstream.endpoint()}, options);
  const auto begin = Clock::now();
  const auto found = lab.resolve("allowed.test");
  EXPECT_LT(Clock::now() - begin, milliseconds(1000));
  ASSERT_TRUE(found);
  EXPECT_THAT(found->v4, ElementsAre(address(kV4)));
  EXPECT_THAT(found->v6, IsEmpty());
}

TEST(Resolver, OneFamilyThatFailsDoesNotSpoilTheOther) {
  ScriptedUpstream upstream([](const UpstreamQuestion& question) {
    return question.type == 28 ? Replies{{question.error(2)}} : honest(question);
  });
  Lab lab(upstream);
  ASSERT_TRUE(lab.resolve("allowed.test"));
  ASSERT_NE(lab.resolver->cached(host("allowed.test")), nullptr);
  EXPECT_THAT(lab.resolver->cached(host("allowed.test"))->v4, ElementsAre(address(kV4)));
}

TEST(Resolver, NoTwoQuestionsAreAlikeOnTheWire) {
  ScriptedUpstream upstream(honest);
  Lab lab(upstream);
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(lab.lookup("a-name-of-some-length" + std::to_string(i) + ".test", DnsType::kA));
  std::set<unsigned> ids;
  std::set<std::uint16_t> ports;
  std::set<std::string> cases;
  for (const auto& question : upstream.seen()) {
    ids.insert(question.id);
    ports.insert(question.from_port);
    cases.insert(question.shown.substr(0, 21));
    EXPECT_TRUE(question.edns);
  }
  EXPECT_GE(ids.size(), 18U);
  EXPECT_GE(ports.size(), 15U);
  EXPECT_GE(cases.size(), 18U);
}

// What a forger or a broken server sends before the true answer; the true one must win.
TEST(Resolver, ForgedAnswersAreIgnored) {
  struct Forgery {
    const char* why;
    std::function<UpstreamReply(const UpstreamQuestion&)> make;
  };
  const std::string evil("\x2d\x21\x20\x42", 4);
  const auto forged = [&](unsigned id, const std::string& shown, unsigned type) {
    return wire::header(id, 0x8180, {.answers = 1}) + wire::question(wire::name(shown), type) +
           wire::record(wire::kToQuestion, 1, 60, evil);
  };
  const Forgery forgeries[] = {
      {"wrong transaction id", [&](const auto& q) { return UpstreamReply{forged(q.id ^ 1U, q.shown, 1)}; }},
      {"another name", [&](const auto& q) { return UpstreamReply{forged(q.id, "evil.test", 1)}; }},
      {"another type", [&](const auto& q) { return UpstreamReply{forged(q.id, q.shown, 28)}; }},
      {"another port", [&](const auto& q) { return UpstreamReply{forged(q.id, q.shown, 1), true}; }},
      {"a query", [&](const auto& q) { return UpstreamReply{q.raw}; }},
      {"too short", [&](const auto&) { return UpstreamReply{"\x01"}; }},
  };
  for (const auto& forgery : forgeries) {
    ScriptedUpstream upstream(
        [&](const UpstreamQuestion& question) { return Replies{forgery.make(question), {question.addresses({kV4})}}; });
    Lab lab(upstream);
    const auto found = lab.lookup("allowed.test", DnsType::kA);
    ASSERT_TRUE(found) << forgery.why;
    EXPECT_THAT((*found)->addresses, ElementsAre(address(kV4))) << forgery.why;
    EXPECT_EQ(upstream.seen().size(), 1U) << forgery.why;
  }
}

TEST(Resolver, AForgedAnswerAloneIsNoAnswer) {
  ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
    auto other = question;
    other.id ^= 0x5555U;
    return Replies{{other.addresses({"45.33.32.66"})}};
  });
  Lab lab(upstream);
  EXPECT_FALSE(lab.lookup("allowed.test", DnsType::kA));
  EXPECT_FALSE(lab.names->leads_to(host("allowed.test"), address("45.33.32.66")));
  EXPECT_TRUE(lab.resolver->cached(host("allowed.test"), DnsType::kA)->failed);
}

TEST(Resolver, AFloodOfForgeriesDrivesItToTcp) {
  ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
    if (question.tcp) return honest(question);
    auto other = question;
    other.id ^= 1U;
    return Replies(20, UpstreamReply{other.addresses({"45.33.32.66"})});
  });
  Lab lab(upstream);
  const auto found = lab.lookup("allowed.test", DnsType::kA);
  ASSERT_TRUE(found);
  EXPECT_THAT((*found)->addresses, ElementsAre(address(kV4)));
}

TEST(Resolver, AServerThatLosesTheLetterCaseIsAskedOverTcp) {
  ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
    auto folded = question;
    folded.shown = question.name;
    return Replies{{folded.addresses({question.tcp ? kV4 : "45.33.32.66"})}};
  });
  Lab lab(upstream);
  const auto found = lab.lookup("a-long-enough-name.allowed.test", DnsType::kA);
  ASSERT_TRUE(found);
  EXPECT_THAT((*found)->addresses, ElementsAre(address(kV4)));
  EXPECT_EQ(upstream.seen().size(), 2U);
}

TEST(Resolver, ATruncatedAnswerIsAskedForAgainOverTcp) {
  ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
    if (question.tcp) return honest(question);
    const auto record = wire::record(wire::kToQuestion, 1, 60, "\x2d\x21\x20\x42");
    return Replies{{question.response({.answers = 1}, record, 0x8380)}};
  });
  Lab lab(upstream);
  const auto found = lab.lookup("allowed.test", DnsType::kA);
  ASSERT_TRUE(found);
  EXPECT_THAT((*found)->addresses, ElementsAre(address(kV4)));
}

TEST(Resolver, AServerThatDoesNotKnowEdnsIsAskedWithoutFromThenOn) {
  ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
    return question.edns ? Replies{{wire::header(question.id, 0x8181, {.questions = 0})}} : honest(question);
  });
  std::vector<std::string> said;
  auto options = Lab::quick();
  options.traits = std::make_shared<UpstreamTraits>([&](const std::string& fault) { said.push_back(fault); });
  Lab lab({upstream.endpoint()}, options);
  EXPECT_TRUE(lab.lookup("one.test", DnsType::kA));
  EXPECT_TRUE(lab.lookup("two.test", DnsType::kA));
  EXPECT_EQ(upstream.count("one.test"), 2U);
  EXPECT_EQ(upstream.count("two.test"), 1U);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_THAT(said.front(), ::testing::HasSubstr("answers FORMERR to EDNS: asked without it"));
  EXPECT_EQ(options.traits->faults(), said);
}

TEST(Resolver, ASlowServerIsNotTakenForOneWithoutEdns) {
  int edns = 0;
  ScriptedUpstream upstream(
      [&](const UpstreamQuestion& question) { return question.edns && ++edns == 1 ? Replies{} : honest(question); });
  auto options = Lab::quick();
  options.traits = std::make_shared<UpstreamTraits>();
  Lab lab({upstream.endpoint()}, options);
  EXPECT_TRUE(lab.lookup("one.test", DnsType::kA)) << "one datagram was lost";
  testing::run_until(lab.io, [&] { return options.traits->speaks_edns(upstream.endpoint()); });
  EXPECT_FALSE(options.traits->lacks(upstream.endpoint(), Lack::kEdns));
  EXPECT_THAT(options.traits->faults(), IsEmpty());
}

// Loses the letter case and has no TCP: what two answers agree on is taken, and nothing else.
TEST(Resolver, WithoutLetterCaseAndTcpTwoAnswersMustAgree) {
  int answers = 0;
  bool agree = true;
  ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
    if (question.tcp) return Replies{};
    auto folded = question;
    folded.shown = question.name;
    const std::string other = "45.33.40." + std::to_string(++answers);
    if (!agree) return Replies{{folded.addresses({other.c_str()})}};
    return Replies{{folded.addresses({kV4, other.c_str()})}};
  });
  Lab lab(upstream);
  const auto found = lab.lookup("a-long-enough-name.allowed.test", DnsType::kA);
  ASSERT_TRUE(found);
  EXPECT_THAT((*found)->addresses, ElementsAre(address(kV4))) << "what only one of them says is left out";
  agree = false;
  EXPECT_FALSE(lab.lookup("another-long-name.allowed.test", DnsType::kA));
}

TEST(Resolver, UsesWhatFitsOfATruncatedAnswerWhereThereIsNoTcp) {
  ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
    if (question.tcp) return question.name == "late.test" ? honest(question) : Replies{};
    const auto record = wire::record(wire::kToQuestion, 1, 60, kV4Bytes);
    const bool empty = question.name != "allowed.test";
    return Replies{{question.response({.answers = empty ? 0U : 1U}, empty ? "" : record, 0x8380)}};
  });
  Lab lab(upstream);
  const auto found = lab.lookup("allowed.test", DnsType::kA);
  ASSERT_TRUE(found);
  EXPECT_THAT((*found)->addresses, ElementsAre(address(kV4)));
  EXPECT_FALSE(lab.lookup("empty.test", DnsType::kA)) << "nothing that fits is no answer";
  EXPECT_TRUE(lab.lookup("late.test", DnsType::kA)) << "TCP is tried again where nothing fits";
}

TEST(Resolver, FollowsAnAliasOverSeveralAnswersForTheNameThatWasAsked) {
  ScriptedUpstream upstream([](const UpstreamQuestion& question) {
    if (question.name == "end.test") return honest(question);
    const std::string next = question.name == "allowed.test" ? "middle.test" : "end.test";
    return Replies{{question.response({.answers = 1}, wire::record(wire::kToQuestion, 5, 20, wire::name(next)))}};
  });
  Lab lab(upstream);
  const auto found = lab.lookup("allowed.test", DnsType::kA);
  ASSERT_TRUE(found);
  EXPECT_THAT((*found)->addresses, ElementsAre(address(kV4)));
  EXPECT_EQ((*found)->canonical, "end.test");
  EXPECT_LE((*found)->expires, Clock::now() + seconds(20));
  EXPECT_TRUE(lab.names->leads_to(host("allowed.test"), address(kV4)));
  EXPECT_FALSE(lab.names->leads_to(host("end.test"), address(kV4)));
  EXPECT_FALSE(lab.resolver->cached(host("end.test"), DnsType::kA)) << "the target was not asked for by anybody";
}

TEST(Resolver, AsksForNoNameOfThisNetworkForAPublicAlias) {
  std::string target;
  ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
    if (question.name == target) return honest(question);
    return Replies{{question.response({.answers = 1}, wire::record(wire::kToQuestion, 5, 20, wire::name(target)))}};
  });
  for (const auto& [name, to, asked] :
       {std::tuple("allowed.test", "db.internal", 1U), std::tuple("allowed.test", "db", 1U),
        std::tuple("allowed.test", "end.test", 2U), std::tuple("a.lan", "db.lan", 2U)}) {
    target = to;
    Lab lab(upstream);
    const auto before = upstream.seen().size();
    lab.lookup(name, DnsType::kA);
    EXPECT_EQ(upstream.seen().size() - before, asked) << name << " to " << to;
  }
}

TEST(Resolver, AnEndlessAliasEnds) {
  int next = 0;
  ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
    const auto alias = wire::name("n" + std::to_string(next++) + ".test");
    return Replies{{question.response({.answers = 1}, wire::record(wire::kToQuestion, 5, 20, alias))}};
  });
  Lab lab(upstream);
  EXPECT_FALSE(lab.lookup("allowed.test", DnsType::kA));
  EXPECT_EQ(upstream.seen().size(), Resolver::kMaxFollowed + 1);
}

TEST(Resolver, AsksTheServerOfTheLongestSuffixAndNoOther) {
  ScriptedUpstream general(honest);
  ScriptedUpstream corp(honest);
  ScriptedUpstream lab_server([](const UpstreamQuestion&) { return Replies{}; });
  auto options = Lab::quick();
  Lab lab({general.endpoint()}, options);
  Upstream below_corp(corp.endpoint());
  below_corp.suffix = host("corp.test");
  Upstream below_lab(lab_server.endpoint());
  below_lab.suffix = host("lab.corp.test");
  options.upstreams = {general.endpoint(), below_corp, below_lab};
  lab.resolver.emplace(lab.io, options, lab.cache, lab.names, lab.counters);
  EXPECT_TRUE(lab.lookup("git.corp.test", DnsType::kA));
  EXPECT_TRUE(lab.lookup("notcorp.test", DnsType::kA));
  EXPECT_FALSE(lab.lookup("x.lab.corp.test", DnsType::kA)) << "its own server is silent";
  EXPECT_EQ(general.seen().size(), 1U);
  EXPECT_EQ(corp.seen().size(), 1U);
  EXPECT_EQ(lab_server.count("x.lab.corp.test"), lab_server.seen().size());
}

TEST(Upstream, IsReadWithItsSuffix) {
  const auto plain = Upstream::parse("10.1.1.1");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->server, (base::Endpoint{address("10.1.1.1"), 53}));
  EXPECT_FALSE(plain->suffix);
  for (const char* text : {"corp.example=[fd00::1]:5353", "*.Corp.example=[fd00::1]:5353"}) {
    const auto below = Upstream::parse(text);
    ASSERT_TRUE(below) << text;
    EXPECT_EQ(below->to_string(), "corp.example=[fd00::1]:5353");
  }
  for (const char* text :
       {"tls://9.9.9.9#dns.quad9.net", "tls://9.9.9.9:853#dns.quad9.net", "tls://9.9.9.9#dns.quad9.net:853"}) {
    const auto over_tls = Upstream::parse(text);
    ASSERT_TRUE(over_tls) << text;
    EXPECT_TRUE(over_tls->tls);
    EXPECT_EQ(over_tls->to_string(), "tls://9.9.9.9:853#dns.quad9.net");
  }
  EXPECT_EQ(Upstream::parse("corp.test=tls://[2620:fe::fe]")->to_string(), "corp.test=tls://[2620:fe::fe]:853");
  for (const char* text :
       {"tls://", "tls://dns.quad9.net", "tls://9.9.9.9#", "tls://9.9.9.9#a b", "tls://9.9.9.9:1#a:2"}) {
    EXPECT_FALSE(Upstream::parse(text)) << text;
  }
  for (const char* text : {"", "=10.1.1.1", "corp.example=", "corp.example", "a b=10.1.1.1", "10.1.1.1=corp.example"}) {
    EXPECT_FALSE(Upstream::parse(text)) << text;
  }
}

TEST(Resolver, MalformedAnswersAreErrorsAndNotCached) {
  const unsigned record_at = 12 + 14 + 4;  // behind header and question of "allowed.test"
  struct Bad {
    const char* why;
    unsigned answers;
    std::string records;
  };
  const auto alias = [](const std::string& from, const std::string& to) {
    return wire::record(from, 5, 60, wire::name(to));
  };
  std::string chain = alias(wire::kToQuestion, "h0.test");
  for (int i = 0; i < 79; ++i) {
    chain += alias(wire::name("h" + std::to_string(i) + ".test"), "h" + std::to_string(i + 1) + ".test");
  }
  const Bad cases[] = {
      {"self pointer", 1, wire::record(wire::pointer(record_at), 1, 60, kV4Bytes)},
      {"forward pointer", 1, wire::record(wire::pointer(record_at + 3), 1, 60, kV4Bytes)},
      {"label 0x40", 1, wire::record("\x40" + std::string(64, 'a') + '\0', 1, 60, kV4Bytes)},
      {"lying count", 3, wire::record(wire::kToQuestion, 1, 60, kV4Bytes)},
      {"A of five bytes", 1, wire::record(wire::kToQuestion, 1, 60, "12345")},
      {"alias of itself", 1, alias(wire::kToQuestion, "allowed.test")},
      {"chain of eighty", 81, chain + wire::record(wire::name("h79.test"), 1, 60, kV4Bytes)},
  };
  for (const auto& bad : cases) {
    ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
      return Replies{{question.response({.answers = bad.answers}, bad.records)}};
    });
    Lab lab(upstream);
    EXPECT_FALSE(lab.lookup("allowed.test", DnsType::kA)) << bad.why;
    const auto remembered = lab.resolver->cached(host("allowed.test"), DnsType::kA);
    EXPECT_TRUE(!remembered || remembered->failed) << bad.why;
    EXPECT_FALSE(lab.names->leads_to(host("allowed.test"), address(kV4))) << bad.why;
  }
}

TEST(Resolver, FollowsAnAliasAndLeavesStrangersOut) {
  ScriptedUpstream upstream([&](const UpstreamQuestion& question) {
    return Replies{{question.response({.answers = 3, .additionals = 1},
                                      wire::record(wire::kToQuestion, 5, 60, wire::name("edge.test")) +
                                          wire::record(wire::name("edge.test"), 1, 60, kV4Bytes) +
                                          wire::record(wire::name("evil.test"), 1, 60, "\x2d\x21\x20\x42") +
                                          wire::record(wire::name("other.test"), 1, 60, "\x2d\x21\x20\x43"))}};
  });
  Lab lab(upstream);
  const auto found = lab.lookup("allowed.test", DnsType::kA);
  ASSERT_TRUE(found);
  EXPECT_THAT((*found)->addresses, ElementsAre(address(kV4)));
  EXPECT_EQ((*found)->canonical, "edge.test");
  EXPECT_FALSE(lab.resolver->cached(host("evil.test"), DnsType::kA));
  EXPECT_FALSE(lab.resolver->cached(host("other.test"), DnsType::kA));
}

TEST(Resolver, NeverAsksAboutThisHostOrThisGateway) {
  ScriptedUpstream upstream(honest);
  Lab lab(upstream);
  for (const char* name : {"localhost", "foo.localhost", "gateway.internal", "x.onion", "x.invalid"}) {
    EXPECT_FALSE(lab.resolve(name)) << name;
  }
  EXPECT_THAT(upstream.seen(), IsEmpty());
  EXPECT_TRUE(lab.resolve("allowed.test")) << "control";
}

TEST(Resolver, TooManyQuestionsAtOnceAreRefusedAndTheRestAnswered) {
  ScriptedUpstream upstream([](const UpstreamQuestion&) { return Replies{}; });
  Lab lab(upstream);
  std::vector<std::optional<base::Result<std::shared_ptr<const RecordSet>>>> results(Resolver::kMaxQuestions + 8);
  int index = 0;
  for (auto& result : results) {
    const auto client = base::IpAddress::v4({10, 0, 0, static_cast<std::uint8_t>(index % 64)});
    auto task = lab.resolver->lookup(host("n" + std::to_string(index++) + ".test"), DnsType::kA, client);
    testing::start(lab.io, std::move(task), result);
  }
  const auto answered = [&] { return std::ranges::count_if(results, [](const auto& r) { return r.has_value(); }); };
  testing::run_until(lab.io, [&] { return answered() >= 8; });
  EXPECT_EQ(answered(), 8) << "those over the bound fail at once, before any time-out";
  testing::run_until(lab.io, [&] { return answered() == static_cast<std::ptrdiff_t>(results.size()); });
}

TEST(Resolver, KeepsQuestionsForClientsThatHaveFewUnderWay) {
  ScriptedUpstream upstream([](const UpstreamQuestion&) { return Replies{}; });
  Lab lab(upstream);
  const auto greedy = base::IpAddress::v4({10, 0, 0, 1});
  const auto modest = base::IpAddress::v4({10, 0, 0, 2});
  constexpr std::size_t kForAnybody = Resolver::kMaxQuestions - Resolver::kKeptForFew;
  std::vector<std::optional<base::Result<std::shared_ptr<const RecordSet>>>> results(kForAnybody + 1);
  int index = 0;
  for (auto& result : results) {
    auto task = lab.resolver->lookup(host("n" + std::to_string(index++) + ".test"), DnsType::kA, greedy);
    testing::start(lab.io, std::move(task), result);
  }
  testing::run_until(lab.io, [&] { return results.back().has_value(); });
  EXPECT_NE(results.back()->error().message.find("too many lookups of all clients"), std::string::npos);
  EXPECT_EQ(std::ranges::count_if(results, [](const auto& r) { return r.has_value(); }), 1);
  std::optional<base::Result<std::shared_ptr<const RecordSet>>> other;
  testing::start(lab.io, lab.resolver->lookup(host("other.test"), DnsType::kA, modest), other);
  lab.io.poll();
  EXPECT_FALSE(other.has_value()) << "it was asked, and waits like the others";
}

TEST(Resolver, CountsTheLookUpsOfConnections) {
  ScriptedUpstream upstream([](const UpstreamQuestion&) { return Replies{}; });
  Lab lab(upstream);
  const auto client = base::IpAddress::v4({10, 0, 0, 1});
  std::vector<std::optional<Found>> results(ClientLimits::kWaitingPerClient + 1);
  int index = 0;
  for (auto& result : results) {
    testing::start(lab.io, lab.resolver->resolve(host("n" + std::to_string(index++) + ".test"), client), result);
  }
  testing::run_until(lab.io, [&] { return results.back().has_value(); });
  EXPECT_NE(results.back()->error().message.find("lookups of this client are waiting"), std::string::npos);
  EXPECT_EQ(lab.resolver->admit(lab.resolver->key(client)), ClientLimits::Verdict::kTooManyWaiting)
      << "its questions count with them";
  std::optional<Found> joined;
  testing::start(lab.io, lab.resolver->resolve(host("n1.test"), client), joined);
  lab.io.poll();
  EXPECT_FALSE(joined.has_value()) << "what is under way may be waited for";
  testing::run_until(lab.io, [&] { return joined.has_value(); });
  EXPECT_EQ(lab.resolver->admit(lab.resolver->key(client)), ClientLimits::Verdict::kAdmitted);
}

// Runs `body` without the capabilities that allow marks (CAP_NET_RAW does since Linux 5.17), on a thread of its own.
template <class Body>
void without_right_to_mark(Body body) {
  std::thread([&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    ASSERT_EQ(::syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1U << CAP_NET_ADMIN | 1U << CAP_NET_RAW);
    ASSERT_EQ(::syscall(SYS_capset, &header, data), 0);
    body();
  }).join();
}

TEST(Resolver, ASocketThatCannotBeMarkedIsNotUsed) {
  ScriptedUpstream upstream(honest);
  without_right_to_mark([&] {
    auto options = Lab::quick();
    options.mark = 0x50;
    Lab lab({upstream.endpoint()}, options);
    EXPECT_FALSE(lab.lookup("allowed.test", DnsType::kA));
    EXPECT_THAT(upstream.seen(), IsEmpty());
    options.mark = 0;
    Lab unmarked({upstream.endpoint()}, options);
    EXPECT_TRUE(unmarked.lookup("allowed.test", DnsType::kA)) << "control";
  });
}

TEST(Resolver, IsDestroyedWithQuestionsUnderWay) {
  ScriptedUpstream upstream([](const UpstreamQuestion&) { return Replies{}; });
  std::optional<Found> result;
  Lab lab(upstream);
  testing::start(lab.io, lab.resolver->resolve(host("slow.test")), result);
  lab.io.poll();
  lab.resolver.reset();
  testing::run_until(lab.io, [&] { return result.has_value(); });
  EXPECT_FALSE(result->has_value());
}

}  // namespace
}  // namespace soleroute::gateway::dns
