// The DNS server as a client sees it: what is allowed, denied, refused, and never sent upstream.
// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/unit/dns/dns_lab.h"

namespace soleroute::gateway::dns {
namespace {

namespace wire = testing::dns_wire;
using sniffer::DnsRcode;
using testing::DnsClient;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using testing::UpstreamQuestion;
using Replies = testing::ScriptedUpstream::Replies;

Replies honest(const UpstreamQuestion& question) {
  return {{question.addresses({kOrigin, "2600:3c00::10"})}};
}

constexpr unsigned kA = 1;
constexpr unsigned kAaaa = 28;
constexpr unsigned kHttps = 65;

TEST(DnsServer, AnswersAllowedNamesFromUpstream) {
  DnsLab lab(honest);
  const auto reading = lab.ask("allowed.test");
  EXPECT_EQ(reading.rcode(), DnsRcode::kNoError);
  EXPECT_THAT(reading.addresses, ElementsAre(kOrigin));
  EXPECT_THAT(lab.ask("allowed.test", kAaaa).addresses, ElementsAre("2600:3c00::10"));
  const auto records = lab.log.about("allowed.test");
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_TRUE(records[0].allowed);
  EXPECT_EQ(records[0].reason, "host_allowed");
  EXPECT_EQ(records[0].client.to_string(), "127.0.0.1");
  EXPECT_EQ(records[0].matched_host, "allowed.test");
  EXPECT_EQ(records[0].rule, "policy.yaml:3");
  EXPECT_EQ(records[0].detail, "dns type A");
  EXPECT_EQ(lab.counters.dns_queries.load(), 2U);
}

TEST(DnsServer, EchoesTheQuestionsLetterCaseAndTakesATrailingDot) {
  DnsLab lab(honest);
  const auto answer = lab.raw(wire::query(7, "aLLoWed.TeSt", kA));
  EXPECT_EQ(answer.substr(12, 14), wire::name("aLLoWed.TeSt"));
  EXPECT_THAT(read_answer(answer).addresses, ElementsAre(kOrigin));
  EXPECT_EQ(lab.upstream.count("allowed.test"), 1U);
}

TEST(DnsServer, DeniedNamesLeadToTheGatewayAndNeverGoUpstream) {
  DnsLab lab(honest);
  const auto reading = lab.ask("evil.test");
  EXPECT_THAT(reading.addresses, ElementsAre(kOwnV4));
  EXPECT_LE(reading.response.answers.at(0).ttl, 5U);
  EXPECT_THAT(lab.ask("evil.test", kAaaa).addresses, ElementsAre(kOwnV6));
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
  const auto records = lab.log.about("evil.test");
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_FALSE(records[0].allowed);
  EXPECT_EQ(records[0].reason, "host_not_allowed");
  EXPECT_EQ(records[0].detail, "dns type A");
  EXPECT_EQ(lab.counters.dns_denied.load(), 2U);
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin)) << "control";
}

TEST(DnsServer, AFamilyTheGatewayLacksIsAnsweredWithNoDataAtOnce) {
  DnsLab lab(honest, kLabPolicy, {kOwnV4});
  const auto reading = lab.ask("evil.test", kAaaa);
  EXPECT_EQ(reading.rcode(), DnsRcode::kNoError);
  EXPECT_THAT(reading.addresses, IsEmpty());
  EXPECT_TRUE(reading.response.negative_ttl.has_value()) << "a SOA, so that it is cached and not asked again";
}

// T046: by the suffix rules, whatever a search path or a trick appends.
TEST(DnsServer, DecidesByTheWholeName) {
  DnsLab lab(honest);
  for (const char* name : {"_dmarc.allowed.test", "xn--allowed-test.evil", "notallowed.test", "sub.allowed.test"}) {
    EXPECT_THAT(lab.ask(name).addresses, ElementsAre(kOwnV4)) << name;
  }
  for (const char* name : {"allowed.test.evil.test", "allowed.test.corp.example", "gateway.internal.corp.example"}) {
    EXPECT_EQ(lab.ask(name).rcode(), DnsRcode::kNxDomain) << name;
    EXPECT_THAT(lab.log.about(name), SizeIs(1)) << name;
  }
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
  for (const char* name : {"a.wild.test", "a_b.wild.test", "x.y.wild.test", "wild.test"}) {
    EXPECT_THAT(lab.ask(name).addresses, ElementsAre(kOrigin)) << name;
  }
}

TEST(DnsServer, NamesThatNoHostCanHaveAreNotAnswered) {
  DnsLab lab(honest);
  const std::string names[] = {
      std::string("\14allowed.test\0", 14),        // a dot inside a label
      std::string("\10allowed\0\4test\0", 15),     // NUL
      std::string("\7allow\xc3\xa9\4test\0", 14),  // raw UTF-8
      wire::name("127.0.0.1"),
      wire::name("a.-b"),
  };
  for (const auto& name : names) {
    const auto reading = read_answer(lab.raw(wire::header(1, 0x100, {}) + wire::question(name, kA)));
    EXPECT_EQ(reading.rcode(), DnsRcode::kNxDomain) << ::testing::PrintToString(name);
  }
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
  EXPECT_EQ(lab.log.records().at(0).reason, "invalid_name");
}

// T036.
TEST(DnsServer, FetchesNoTypeThatCouldCarryData) {
  DnsLab lab(honest);
  const unsigned types[] = {2, 5, 6, 10, 12, 13, 15, 16, 24, 25, 35, 39, 43, 255, 257, 65280};
  for (const char* name : {"evil.test", "allowed.test"}) {
    for (const unsigned type : types) {
      const auto reading = lab.ask(name, type);
      EXPECT_EQ(reading.rcode(), DnsRcode::kNoError) << name << " type " << type;
      EXPECT_THAT(reading.response.answers, IsEmpty()) << name << " type " << type;
    }
    for (const unsigned meta : {41U, 249U, 250U, 251U, 252U}) {
      EXPECT_EQ(lab.ask(name, meta).rcode(), DnsRcode::kNotImp) << name << " type " << meta;
    }
  }
  for (const unsigned type : {33U, 64U, kHttps}) EXPECT_THAT(lab.ask("evil.test", type).response.answers, IsEmpty());
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
  EXPECT_EQ(lab.log.about("allowed.test").at(0).reason, "type_not_answered");
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin)) << "control";
}

// T034, T051: what an exfiltration tool does.
TEST(DnsServer, ATunnelUnderADeniedDomainReachesNobodyAndDoesNotFloodTheLog) {
  DnsLab lab(honest);
  const auto udp = lab.client();
  const auto tcp = lab.client(DnsClient::Over::kTcp);
  for (int i = 0; i < 1000; ++i) {
    const std::string name = std::string(60, 'a') + "." + std::to_string(i) + ".canary.evil.test";
    const auto query = wire::query(static_cast<unsigned>(i), name, i % 2 == 0 ? kA : 16);
    const std::string answer = i % 4 < 2 ? udp.ask(query) : tcp.ask_framed(query).value_or("");
    ASSERT_EQ(read_answer(answer).rcode(), DnsRcode::kNoError) << i;
  }
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
  EXPECT_LT(lab.log.records().size(), 400U);
  EXPECT_EQ(lab.counters.dns_denied.load(), 1000U);
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin)) << "control";
  lab.stop();
  const auto told = lab.log.records().back().detail;
  EXPECT_NE(told.find("were not logged"), std::string::npos) << told;
}

TEST(DnsServer, IdenticalDenialsAreWrittenOnceAndCounted) {
  DnsLab lab(honest);
  for (int i = 0; i < 50; ++i) EXPECT_THAT(lab.ask("evil.test").addresses, ElementsAre(kOwnV4));
  EXPECT_THAT(lab.log.about("evil.test"), SizeIs(1));
  lab.stop();
  ASSERT_THAT(lab.log.about("evil.test"), SizeIs(2));
  EXPECT_EQ(lab.log.about("evil.test").back().detail, "dns type A; 49 more like it");
}

// T040, T011.
TEST(DnsServer, AnswersNoAddressThatIsNotPublic) {
  const char* addresses[] = {"0.0.0.0",
                             "0.1.2.3",
                             "10.0.0.1",
                             "100.64.0.1",
                             "100.100.100.200",
                             "127.0.0.1",
                             "127.255.255.254",
                             "169.254.169.254",
                             "169.254.170.2",
                             "172.16.0.1",
                             "172.31.255.255",
                             "192.0.0.192",
                             "192.0.2.1",
                             "192.88.99.1",
                             "192.168.0.1",
                             "198.18.0.1",
                             "198.51.100.1",
                             "203.0.113.1",
                             "224.0.0.1",
                             "240.0.0.1",
                             "255.255.255.255",
                             "10.77.0.2",
                             "::",
                             "::1",
                             "fc00::1",
                             "fd00:ec2::254",
                             "fe80::1",
                             "ff02::1",
                             "2001:db8::1",
                             "::ffff:10.0.0.1",
                             "::10.0.0.1",
                             "64:ff9b::a9fe:a9fe",
                             "2002:a9fe:a9fe::",
                             "2001:0:1::1",
                             "fd77::2"};
  int index = 0;
  for (const char* text : addresses) {
    const unsigned type = base::IpAddress::parse(text).value().is_v4() ? kA : kAaaa;
    DnsLab lab([&](const UpstreamQuestion& question) { return Replies{{question.addresses({text})}}; });
    const auto reading = lab.ask("allowed.test", type);
    EXPECT_EQ(reading.rcode(), DnsRcode::kNoError) << text;
    EXPECT_THAT(reading.addresses, IsEmpty()) << text;
    EXPECT_EQ(lab.log.records().at(0).reason, "private_address") << text;
    EXPECT_FALSE(lab.log.records().at(0).allowed) << text;
    ++index;
  }
  EXPECT_EQ(index, 35);
}

TEST(DnsServer, TheGatewaysOwnAddressIsNoAnswerEvenIfItIsPublic) {
  DnsLab lab(honest, kLabPolicy, {kOrigin});
  EXPECT_THAT(lab.ask("allowed.test").addresses, IsEmpty());
}

TEST(DnsServer, AnAddressOfTheGatewaysMachineIsNoAnswerUnlessAnEntryListsIt) {
  const auto script = [](const UpstreamQuestion& q) { return Replies{{q.addresses({"45.33.32.1", "10.1.2.3"})}}; };
  const std::string policy =
      "domains: [allowed.test, {host: private.test, addresses: [10.1.2.3/32]}, {host: range.test, addresses: "
      "[10.0.0.0/8]}]\n";
  DnsLab lab(script, policy, {kOwnV4}, "127.0.0.1", {"45.33.32.1", "10.1.2.3"});
  EXPECT_THAT(lab.ask("allowed.test").addresses, IsEmpty());
  EXPECT_EQ(lab.log.about("allowed.test").at(0).reason, "private_address");
  EXPECT_EQ(lab.log.about("allowed.test").at(0).detail,
            "dns type A, 45.33.32.1 is an address of the gateway's machine");
  EXPECT_THAT(lab.ask("private.test").addresses, ElementsAre("10.1.2.3"));
  EXPECT_THAT(lab.ask("range.test").addresses, IsEmpty()) << "a range is about the gateway's neighbours";
}

TEST(DnsServer, AnAddressThatTheMachineGotLaterIsNoAnswer) {
  DnsLab lab([](const UpstreamQuestion& q) { return Replies{{q.addresses({"45.33.32.77", "45.33.32.78"})}}; });
  EXPECT_THAT(lab.ask("allowed.test").addresses, UnorderedElementsAre("45.33.32.77", "45.33.32.78"));
  lab.own_book->set(std::make_shared<const net::OwnAddresses>(std::vector{*base::Cidr::parse("45.33.32.77")}));
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre("45.33.32.78")) << "also from the cache";
}

// T227.
TEST(DnsServer, WhatIsNotKnownOfTheMachinesAddressesIsNoStatementAboutTheName) {
  DnsLab lab(honest);
  lab.own_book->set(nullptr);
  EXPECT_EQ(lab.ask("allowed.test").rcode(), DnsRcode::kServFail);
  EXPECT_EQ(lab.log.about("allowed.test").at(0).reason, "upstream_failed");
  lab.own_book->set(std::make_shared<const net::OwnAddresses>(std::vector<base::Cidr>{}));
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin));
}

TEST(DnsServer, OfANameWithManyAddressesSixteenAreTold) {
  DnsLab lab([](const UpstreamQuestion& question) {
    std::string records;
    for (char last = 1; last <= 60; ++last) {
      records += wire::record(wire::kToQuestion, kA, 60, std::string("\x2d\x21\x28") + last);
    }
    return Replies{{question.response({.answers = 60}, records)}};
  });
  EXPECT_EQ(lab.ask("allowed.test").addresses.size(), sniffer::kMaxDnsAddresses);
}

TEST(DnsServer, TheGatewayStandsInForItsLoopbackWhereAnEntryListsIt) {
  DnsLab lab([](const UpstreamQuestion& q) { return Replies{{q.addresses({"127.0.0.1", "::1"})}}; }, kLabPolicy,
             {kOwnV4});
  EXPECT_THAT(lab.ask("here.test").addresses, ElementsAre(kOwnV4)) << "127.0.0.1 would be the client's own";
  EXPECT_THAT(lab.ask("here.test", kAaaa).addresses, IsEmpty()) << "the gateway has no IPv6 address to stand in with";
  EXPECT_THAT(lab.ask("allowed.test").addresses, IsEmpty());
}

TEST(DnsServer, OfSeveralAddressesOnlyThePublicOnesAreTold) {
  DnsLab lab([](const UpstreamQuestion& q) { return Replies{{q.addresses({"10.0.0.1", kOrigin, "127.0.0.1"})}}; });
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin));
}

TEST(DnsServer, PermitsTheNonPublicAddressesThatAnEntryLists) {
  DnsLab lab([](const UpstreamQuestion& q) { return Replies{{q.addresses({"10.0.0.1", "192.168.0.1"})}}; });
  EXPECT_THAT(lab.ask("private.test").addresses, ElementsAre("10.0.0.1"));
}

// T042.
TEST(DnsServer, AnAliasIsFollowedAndItsTargetStaysDenied) {
  DnsLab lab([](const UpstreamQuestion& question) {
    const std::string records = wire::record(wire::kToQuestion, 5, 60, wire::name("evil.test")) +
                                wire::record(wire::name("evil.test"), kA, 60, "\x2d\x21\x20\x0a") +
                                wire::record(wire::name("unrelated.test"), kA, 60, "\x2d\x21\x20\x42");
    return Replies{{question.response({.answers = 3}, records)}};
  });
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin));
  EXPECT_EQ(lab.log.about("allowed.test").at(0).detail, "dns type A, alias of evil.test");
  EXPECT_THAT(lab.ask("evil.test").addresses, ElementsAre(kOwnV4));
  EXPECT_THAT(lab.ask("unrelated.test").addresses, ElementsAre(kOwnV4));
}

TEST(DnsServer, AnAliasToAPrivateAddressIsNoAnswer) {
  DnsLab lab([](const UpstreamQuestion& question) {
    const std::string records = wire::record(wire::kToQuestion, 5, 60, wire::name("metadata.google.internal")) +
                                wire::record(wire::name("metadata.google.internal"), kA, 60, "\xa9\xfe\xa9\xfe");
    return Replies{{question.response({.answers = 2}, records)}};
  });
  EXPECT_THAT(lab.ask("allowed.test").addresses, IsEmpty());
}

TEST(DnsServer, AnAliasLoopIsAServerFailure) {
  DnsLab lab([](const UpstreamQuestion& question) {
    return Replies{
        {question.response({.answers = 1}, wire::record(wire::kToQuestion, 5, 60, wire::name("allowed.test")))}};
  });
  EXPECT_EQ(lab.ask("allowed.test").rcode(), DnsRcode::kServFail);
  EXPECT_EQ(lab.log.records().at(0).reason, "upstream_failed");
}

// T044, T045.
TEST(DnsServer, MalformedQuestionsAreRefusedAndNotForwarded) {
  DnsLab lab(honest);
  const std::string good = wire::question(wire::name("allowed.test"), kA);
  struct Case {
    const char* why;
    std::string bytes;
    DnsRcode rcode;
  };
  const Case cases[] = {
      {"self pointer", wire::header(1, 0x100, {}) + wire::question(wire::pointer(12), kA), DnsRcode::kFormErr},
      {"label 0x80", wire::header(1, 0x100, {}) + "\x80" + std::string(140, 'a'), DnsRcode::kFormErr},
      {"past the packet", wire::header(1, 0x100, {}) + "\77abc", DnsRcode::kFormErr},
      {"no question", wire::header(1, 0x100, {.questions = 0}), DnsRcode::kFormErr},
      {"two questions, the second denied",
       wire::header(1, 0x100, {.questions = 2}) + good + wire::question(wire::name("evil.test"), kA),
       DnsRcode::kFormErr},
      {"65535 questions", wire::header(1, 0x100, {.questions = 65535}) + good, DnsRcode::kFormErr},
      {"TC", wire::header(1, 0x300, {}) + good, DnsRcode::kFormErr},
      {"answers in a question",
       wire::header(1, 0x100, {.answers = 1}) + good + wire::record(wire::kToQuestion, kA, 1, "CANA"),
       DnsRcode::kFormErr},
      {"500 bytes behind it", wire::header(1, 0x100, {}) + good + std::string(500, 'C'), DnsRcode::kFormErr},
      {"longer than the buffer", wire::header(1, 0x100, {}) + good + std::string(5000, 'C'), DnsRcode::kFormErr},
      {"IQUERY", wire::header(1, 0x900, {}) + good, DnsRcode::kNotImp},
      {"STATUS", wire::header(1, 0x1100, {}) + good, DnsRcode::kNotImp},
      {"NOTIFY", wire::header(1, 0x2100, {}) + good, DnsRcode::kNotImp},
      {"UPDATE", wire::header(1, 0x2900, {}) + good, DnsRcode::kNotImp},
      {"class CH", wire::header(1, 0x100, {}) + wire::question(wire::name("version.bind"), 16, 3), DnsRcode::kRefused},
      {"class HS", wire::header(1, 0x100, {}) + wire::question(wire::name("allowed.test"), kA, 4), DnsRcode::kRefused},
      {"class ANY", wire::header(1, 0x100, {}) + wire::question(wire::name("allowed.test"), kA, 255),
       DnsRcode::kRefused},
      {"class 0", wire::header(1, 0x100, {}) + wire::question(wire::name("allowed.test"), kA, 0), DnsRcode::kRefused},
  };
  for (const auto& c : cases) {
    const auto reading = read_answer(lab.raw(c.bytes));
    ASSERT_TRUE(reading.header.has_value()) << c.why;
    EXPECT_EQ(reading.rcode(), c.rcode) << c.why;
    EXPECT_EQ(reading.header->answers, 0) << c.why;
  }
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin)) << "control";
}

TEST(DnsServer, WhatIsNoQuestionAtAllGetsNoAnswer) {
  DnsLab lab(honest);
  const auto client = lab.client();
  for (int size = 0; size < 12; ++size) client.send(std::string(static_cast<std::size_t>(size), 'x'));
  client.send(wire::header(1, 0x8180, {}) + wire::question(wire::name("allowed.test"), kA));
  // The next thing to arrive is the answer to the next question: nothing came before it.
  EXPECT_THAT(read_answer(client.ask(wire::query(77, "allowed.test", kA))).addresses, ElementsAre(kOrigin));
}

// T048.
TEST(DnsServer, HttpsRecordsLoseEchHttp3AndPrivateHints) {
  DnsLab lab([](const UpstreamQuestion& question) {
    const std::string service = wire::u16(1) + wire::name("") + wire::alpn({"h3", "h2"}) +
                                wire::service_parameter(4, "\x2d\x21\x20\x0a\x7f\x01\x01\x01") +
                                wire::service_parameter(5, "ech-config");
    const std::string other_port =
        wire::u16(2) + wire::name("") + wire::alpn({"h2"}) + wire::service_parameter(3, wire::u16(8443));
    const std::string alias = wire::u16(0) + wire::name("evil.test");
    return Replies{{question.response({.answers = 3}, wire::record(wire::kToQuestion, kHttps, 60, service) +
                                                          wire::record(wire::kToQuestion, kHttps, 60, other_port) +
                                                          wire::record(wire::kToQuestion, kHttps, 60, alias))}};
  });
  const auto raw = lab.raw(wire::query(1, "allowed.test", kHttps));
  const auto reading = read_answer(raw);
  ASSERT_THAT(reading.response.answers, SizeIs(1));
  const auto& service = *reading.response.answers[0].service;
  EXPECT_THAT(service.alpn, ElementsAre("h2"));
  EXPECT_THAT(service.hints, ElementsAre(base::IpAddress::parse(kOrigin).value()));
  EXPECT_EQ(raw.find("ech-config"), std::string::npos);
}

TEST(DnsServer, AnHttpsAliasIsNoData) {
  DnsLab lab([](const UpstreamQuestion& question) {
    return Replies{{question.response(
        {.answers = 1}, wire::record(wire::kToQuestion, kHttps, 60, wire::u16(0) + wire::name("evil.test")))}};
  });
  const auto reading = lab.ask("allowed.test", kHttps);
  EXPECT_EQ(reading.rcode(), DnsRcode::kNoError);
  EXPECT_THAT(reading.response.answers, IsEmpty());
  EXPECT_EQ(lab.upstream.count("evil.test"), 0U);
}

// T050, T039.
TEST(DnsServer, SpecialNamesNeverGoUpstream) {
  DnsLab lab(honest);
  for (const char* name : {"host.docker.internal", "gateway.docker.internal", "kubernetes.docker.internal", "metadata",
                           "metadata.google.internal", "instance-data", "x.local", "x.onion", "x.internal", "wpad",
                           "isatap", "canary0123456789", "agent", "proxy", "use-application-dns.net", "corp.local",
                           "x.home.arpa", "x.alt", "x.invalid"}) {
    const auto reading = lab.ask(name);
    EXPECT_EQ(reading.rcode(), DnsRcode::kNxDomain) << name;
    EXPECT_THAT(reading.addresses, IsEmpty()) << name;
  }
  for (const char* name : {"1.0.0.127.in-addr.arpa", "ipv4only.arpa", "_dns.resolver.arpa"}) {
    for (const unsigned type : {kA, 12U, 64U}) {
      EXPECT_THAT(lab.ask(name, type).response.answers, IsEmpty()) << name;
    }
  }
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
  EXPECT_THAT(lab.ask("printer.local").addresses, ElementsAre(kOrigin)) << "control: an entry names it exactly";
}

// RFC 6761 section 6.3: whatever the policy lists, and whatever upstream would say.
TEST(DnsServer, LocalhostIsTheClientItself) {
  for (const char* policy : {"", "mode: observe\n", "domains: [localhost, \"*.localhost\"]\n"}) {
    DnsLab lab(honest, policy);
    for (const char* name : {"localhost", "app.localhost", "a.b.localhost", "LOCALHOST"}) {
      EXPECT_THAT(lab.ask(name).addresses, ElementsAre("127.0.0.1")) << name;
      EXPECT_THAT(lab.ask(name, kAaaa).addresses, ElementsAre("::1")) << name;
      for (const unsigned type : {12U, 15U, 16U, 33U, 65U, 255U}) {
        const auto reading = lab.ask(name, type);
        EXPECT_EQ(reading.rcode(), DnsRcode::kNoError) << name << type;
        EXPECT_THAT(reading.response.answers, IsEmpty()) << name << type;
      }
    }
    EXPECT_THAT(lab.upstream.seen(), IsEmpty());
    EXPECT_NE(lab.ask("localhost.wild.test").addresses, std::vector<std::string>{"127.0.0.1"}) << "control";
  }
}

TEST(DnsServer, ObservesNoNameOfThisNetworkThatIsNotListed) {
  DnsLab lab(honest, "mode: observe\ndomains: [\"*.corp.internal\"]\n");
  for (const char* name : {"wpad", "x.local", "x.internal", "x.home.arpa"}) {
    EXPECT_EQ(lab.ask(name).rcode(), DnsRcode::kNxDomain) << name;
  }
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
  EXPECT_THAT(lab.ask("db.corp.internal").addresses, ElementsAre(kOrigin)) << "control: listed";
  EXPECT_THAT(lab.ask("other.test").addresses, ElementsAre(kOrigin)) << "control: observed";
}

TEST(DnsServer, AStarBelowALocalDomainIsMeant) {
  DnsLab lab(honest, "domains: [\"*.corp.internal\", \"*.local\", \"*.wild.test\"]\n");
  for (const char* name : {"db.corp.internal", "a.b.corp.internal", "corp.internal", "printer.local"}) {
    EXPECT_THAT(lab.ask(name).addresses, ElementsAre(kOrigin)) << name;
  }
  for (const char* name :
       {"corp2.internal", "metadata.google.internal", "internal", "wpad", "x.corp.internal.local.onion"}) {
    EXPECT_EQ(lab.ask(name).rcode(), DnsRcode::kNxDomain) << name;
  }
  EXPECT_EQ(lab.upstream.count("corp2.internal"), 0U);
  DnsLab all(honest, "domains: [\"*.internal\"]\n");
  EXPECT_THAT(all.ask("gateway.internal").addresses, ElementsAre(kOwnV4)) << "stays the gateway's own";
  EXPECT_THAT(all.ask("x.svc.internal").addresses, ElementsAre(kOrigin));
  EXPECT_THAT(all.upstream.count("gateway.internal"), 0U);
}

TEST(DnsServer, TheGatewayHasAName) {
  DnsLab lab(honest);
  EXPECT_THAT(lab.ask("gateway.internal").addresses, ElementsAre(kOwnV4));
  EXPECT_THAT(lab.ask("Gateway.Internal", kAaaa).addresses, ElementsAre(kOwnV6));
  EXPECT_THAT(lab.ask("gateway.internal", 16).response.answers, IsEmpty());
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
}

TEST(DnsServer, PassesOnThatANameDoesNotExist) {
  DnsLab lab([](const UpstreamQuestion& question) { return Replies{{question.error(3)}}; });
  EXPECT_EQ(lab.ask("gone.wild.test").rcode(), DnsRcode::kNxDomain);
  EXPECT_TRUE(lab.log.about("gone.wild.test").at(0).allowed);
}

TEST(DnsServer, AnswersWithWhatItKnewWhileUpstreamIsSilent) {
  DnsLab lab([](const UpstreamQuestion&) { return Replies{}; });
  RecordSet known;
  known.addresses = {base::IpAddress::parse(kOrigin).value()};
  known.expires = Clock::now() - std::chrono::seconds(100);
  lab.cache->store(base::HostName::parse("allowed.test").value(), sniffer::DnsType::kA,
                   std::make_shared<const RecordSet>(known));
  const auto reading = lab.ask("allowed.test");
  EXPECT_THAT(reading.addresses, ElementsAre(kOrigin));
  ASSERT_THAT(reading.response.answers, SizeIs(1));
  EXPECT_LE(reading.response.answers.front().ttl, 30U);
  EXPECT_THAT(lab.log.about("allowed.test").at(0).detail, ::testing::HasSubstr("stale: expired 10"));
  EXPECT_EQ(lab.ask("a.wild.test").rcode(), DnsRcode::kServFail) << "the control: nothing was known of it";
}

TEST(DnsServer, TellingAnEndpointsNameFromTheCacheIsAlsoRememberingIt) {
  DnsLab lab(honest);
  const auto name = base::HostName::parse("allowed.test").value();
  const auto where = base::IpAddress::parse(kOrigin).value();
  lab.names->keep({name});
  RecordSet known;
  known.addresses = {where};
  known.expires = Clock::now() + std::chrono::seconds(100);
  lab.cache->store(name, sniffer::DnsType::kA, std::make_shared<const RecordSet>(known));
  EXPECT_FALSE(lab.names->leads_to(name, where)) << "the book has let go of it";
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin));
  EXPECT_TRUE(lab.names->leads_to(name, where));
  EXPECT_THAT(lab.names->names_of(where), ElementsAre(name));
}

TEST(DnsServer, ASilentUpstreamIsAServerFailureInTime) {
  DnsLab lab(
      [](const UpstreamQuestion& question) { return question.name == "allowed.test" ? honest(question) : Replies{}; });
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin));
  const auto waiting = lab.client();
  waiting.send(wire::query(1, "slow.wild.test", kA));
  const auto begin = Clock::now();
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin)) << "a cached name is not held up";
  EXPECT_THAT(lab.ask("evil.test").addresses, ElementsAre(kOwnV4)) << "nor a denied one";
  EXPECT_FALSE(waiting.readable(0));
  EXPECT_LT(Clock::now() - begin, std::chrono::milliseconds(1400));
  EXPECT_EQ(read_answer(waiting.receive()).rcode(), DnsRcode::kServFail);
  EXPECT_EQ(lab.log.about("slow.wild.test").at(0).reason, "upstream_failed");
}

// C12.
TEST(DnsServer, AnswersBothFamiliesAskedInParallelWithoutWaiting) {
  DnsLab lab([](const UpstreamQuestion& question) { return Replies{{question.addresses({kOrigin})}}; });
  const auto client = lab.client();
  client.send(wire::query(1, "allowed.test", kA));
  client.send(wire::query(2, "allowed.test", kAaaa));
  std::set<unsigned> ids;
  for (int i = 0; i < 2; ++i) {
    const auto reading = read_answer(client.receive());
    EXPECT_EQ(reading.rcode(), DnsRcode::kNoError);
    ids.insert(reading.response.id);
    EXPECT_THAT(reading.addresses, SizeIs(reading.response.id == 1 ? 1 : 0));
  }
  EXPECT_THAT(ids, UnorderedElementsAre(1, 2));
}

constexpr int kMostTold = 16;  // of a family

Replies many_addresses(const UpstreamQuestion& question) {
  std::string records;
  for (int i = 0; i < 40; ++i) {
    const std::string address = std::string("\x2a\x00\x14\x50", 4) + std::string(11, '\1') + static_cast<char>(i);
    records += wire::record(wire::kToQuestion, kAaaa, 60, address);
  }
  return {{question.tcp ? question.response({.answers = 40}, records) : question.response({}, "", 0x8380)}};
}

TEST(DnsServer, TruncatesToWhatTheClientTakes) {
  DnsLab lab(many_addresses);
  const std::string name = std::string(50, 'a') + ".wild.test";  // so that sixteen are too many for 512 bytes
  const auto plain = lab.raw(wire::query(1, name, kAaaa));
  EXPECT_LE(plain.size(), 512U);
  EXPECT_TRUE(read_answer(plain).header->truncated());
  const auto small = lab.raw(wire::query(1, name, kAaaa, wire::opt(100), 1));
  EXPECT_TRUE(read_answer(small).header->truncated()) << "less than 512 is never asked for in earnest";
  const auto edns = lab.raw(wire::query(1, name, kAaaa, wire::opt(1232), 1));
  EXPECT_THAT(read_answer(edns).addresses, SizeIs(kMostTold));
  const auto tcp = lab.client(DnsClient::Over::kTcp).ask_framed(wire::query(1, name, kAaaa));
  EXPECT_THAT(read_answer(tcp.value()).addresses, SizeIs(kMostTold));
}

TEST(DnsServer, AnswersEdnsWithoutPassingItsOptionsOn) {
  DnsLab lab(honest);
  const std::string subnet = wire::u16(8) + wire::with_length(std::string("\0\1\30\0\xCA\xFE\1", 7));
  const auto answer = lab.raw(wire::query(1, "allowed.test", kA, wire::opt(4096, subnet), 1));
  EXPECT_EQ(answer.substr(answer.size() - 11), wire::opt(1232));
  ASSERT_THAT(lab.upstream.seen(), SizeIs(1));
  EXPECT_EQ(lab.upstream.seen()[0].raw.find("\xCA\xFE"), std::string::npos);
  const auto future = read_answer(lab.raw(wire::query(1, "allowed.test", kA, wire::opt(1232, "", 0x00010000), 1)));
  EXPECT_EQ(future.rcode(), DnsRcode::kBadVers);
}

TEST(DnsServer, AnswersFromTheAddressThatWasAsked) {
  DnsLab lab(honest, kLabPolicy, {kOwnV4}, "::");
  for (const char* address : {"127.0.0.1", "127.0.0.53", "127.77.1.2", "::1"}) {
    // The client's socket is connected: the kernel drops an answer from elsewhere.
    const DnsClient client(lab.at(address), DnsClient::Over::kUdp);
    EXPECT_THAT(read_answer(client.ask(wire::query(1, "allowed.test", kA))).addresses, ElementsAre(kOrigin)) << address;
  }
  EXPECT_EQ(lab.log.records().at(0).client.to_string(), "127.0.0.1") << "not ::ffff:127.0.0.1";
}

TEST(DnsServer, PacketsToADeniedNamesAddressAreNamed) {
  DnsLab lab(honest);
  const auto client = base::IpAddress::parse("127.0.0.1").value();
  (void)lab.ask("evil.test");
  (void)lab.ask("allowed.test");
  const auto name_of = [&](const char* address) {
    return lab.names->looked_up_as(client, base::IpAddress::parse(address).value())->text();
  };
  EXPECT_EQ(name_of(kOwnV4), "evil.test");
  EXPECT_EQ(name_of(kOrigin), "allowed.test");
}

// T051: distinct names below an allowed wildcard.
TEST(DnsServer, ABurstOfNewNamesIsCappedAndCachedNamesStayAlive) {
  DnsLab lab(
      [](const UpstreamQuestion& question) { return question.name == "allowed.test" ? honest(question) : Replies{}; });
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin));
  const auto flood = lab.client();
  for (int i = 0; i < 150; ++i)
    flood.send(wire::query(static_cast<unsigned>(i), "n" + std::to_string(i) + ".wild.test", kA));
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin));
  EXPECT_EQ(read_answer(flood.receive()).rcode(), DnsRcode::kServFail) << "those over the cap are told at once";
  lab.stop();
  EXPECT_LE(lab.upstream.seen().size(), 1U + 64U * 3U) << "64 waiting, each asked again at most twice";
}

TEST(DnsServer, RemarksOnLongLabelsUnderAWildcard) {
  DnsLab lab(honest);
  const std::string odd = std::string(60, '0') + ".wild.test";
  (void)lab.ask(odd);
  (void)lab.ask("e3b0c44298fc1c149afbf4c8996fb924.wild.test");
  EXPECT_EQ(lab.log.about(odd).at(0).detail, "dns type A, long label under a wildcard: data in names?");
  EXPECT_EQ(lab.log.records().at(1).detail, "dns type A");
}

TEST(DnsServer, AnswersManyQuestionsOnOneConnectionOutOfOrder) {
  DnsLab lab(
      [](const UpstreamQuestion& question) { return question.name == "allowed.test" ? honest(question) : Replies{}; });
  const auto tcp = lab.client(DnsClient::Over::kTcp);
  std::string batch = wire::with_length(wire::query(1, "slow.wild.test", kA));
  for (unsigned id = 2; id <= 10; ++id) batch += wire::with_length(wire::query(id, "allowed.test", kA));
  tcp.send(batch);
  std::vector<unsigned> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(read_answer(tcp.receive_framed().value()).header->id);
  EXPECT_EQ(ids.back(), 1U) << "the slow one comes last, and comes";
  EXPECT_THAT(std::set<unsigned>(ids.begin(), ids.end()), SizeIs(10));
}

TEST(DnsServer, AnswersWhatWasAskedBeforeTheClientClosedItsSide) {
  DnsLab lab(honest);
  const auto tcp = lab.client(DnsClient::Over::kTcp);
  tcp.send(wire::with_length(wire::query(1, "allowed.test", kA)));
  tcp.close_sending();
  EXPECT_THAT(read_answer(tcp.receive_framed().value_or("")).addresses, ElementsAre(kOrigin));
  EXPECT_FALSE(tcp.receive_framed().has_value());
}

TEST(DnsServer, AQuestionMayArriveByteByByteOverTcp) {
  DnsLab lab(honest);
  const auto tcp = lab.client(DnsClient::Over::kTcp);
  for (const char byte : wire::with_length(wire::query(1, "allowed.test", kA))) tcp.send(std::string(1, byte));
  EXPECT_THAT(read_answer(tcp.receive_framed().value_or("")).addresses, ElementsAre(kOrigin));
}

TEST(DnsServer, ClosesTcpConnectionsThatCarryNoQuestions) {
  DnsLab lab(honest);
  for (const unsigned length : {0U, 1U, 11U, 65535U}) {
    const auto tcp = lab.client(DnsClient::Over::kTcp);
    tcp.send(wire::u16(length) + "x");
    EXPECT_FALSE(tcp.receive_framed().has_value()) << length;
  }
  EXPECT_TRUE(lab.client(DnsClient::Over::kTcp).ask_framed(wire::query(1, "allowed.test", kA)).has_value())
      << "control";
}

TEST(DnsServer, OneClientCannotHoldAllConnections) {
  DnsLab lab(honest);
  std::vector<DnsClient> idle;
  for (int i = 0; i < 40; ++i) idle.push_back(lab.client(DnsClient::Over::kTcp));
  EXPECT_FALSE(idle.back().receive_framed().has_value()) << "over the cap: closed at once";
  EXPECT_FALSE(idle.front().readable(0)) << "below it: open";
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin)) << "UDP goes on";
}

TEST(DnsServer, AClientThatNeverReadsIsNotReadEither) {
  DnsLab lab(honest);
  const auto tcp = lab.client(DnsClient::Over::kTcp);
  const std::string one = wire::with_length(wire::query(1, "evil.test", kA));
  std::string many;
  while (many.size() < 1U << 20U) many += one;
  std::size_t sent = 0;
  for (int round = 0; round < 64; ++round) {
    const auto count = ::send(tcp.fd(), many.data(), many.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count <= 0 && !lab.client().ask(wire::query(1, "evil.test", kA)).empty()) break;
    sent += count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  EXPECT_LT(sent, 60U << 20U) << "the kernel's buffers are full: the server has stopped reading";
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin)) << "and goes on for others";
}

SearchList search_list(std::vector<const char*> domains, unsigned ndots = 1) {
  SearchList list{.domains = {}, .ndots = ndots};
  for (const char* domain : domains) list.domains.push_back(base::HostName::parse(domain).value());
  return list;
}

TEST(DnsServer, ANameThatAResolverCompletesDoesNotExist) {
  DnsLab lab(honest, kLabPolicy, {kOwnV4}, "127.0.0.1", {}, search_list({"corp.example"}, 5));
  for (const char* name : {"allowed.test.corp.example", "nosuchhost.corp.example", "evil.test.corp.example"}) {
    EXPECT_EQ(lab.ask(name).rcode(), DnsRcode::kNxDomain) << name;
    EXPECT_THAT(lab.log.about(name), IsEmpty()) << name;
  }
  EXPECT_EQ(lab.counters.dns_denied.load(), 0U);
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin)) << "what the resolver asks next";
  EXPECT_THAT(lab.ask("evil.test").addresses, ElementsAre(kOwnV4)) << "control: the name that was typed";
  EXPECT_THAT(lab.log.about("evil.test"), SizeIs(1));
}

TEST(DnsServer, AnAllowedNameBeforeAnUnknownDomainDoesNotExistAndIsRecorded) {
  DnsLab lab(honest, kLabPolicy, {kOwnV4}, "127.0.0.1", {}, search_list({"corp.example"}));
  EXPECT_EQ(lab.ask("allowed.test.corp.example").rcode(), DnsRcode::kNxDomain);
  EXPECT_THAT(lab.log.records(), IsEmpty()) << "control: a known search domain";
  for (const char* name : {"allowed.test.data.evil.example", "gateway.internal.data.evil.example"}) {
    EXPECT_EQ(lab.ask(name).rcode(), DnsRcode::kNxDomain) << name;
    ASSERT_THAT(lab.log.about(name), SizeIs(1)) << name;
    EXPECT_EQ(lab.log.about(name).front().detail, "dns type A, search domain?");
  }
  EXPECT_EQ(lab.counters.dns_denied.load(), 2U);
}

TEST(DnsServer, AnAllowedNameBeforeAPublicSuffixIsAnyDeniedName) {
  DnsLab lab(honest, kLabPolicy, {kOwnV4}, "127.0.0.1", {}, search_list({"net.au"}));
  for (const char* name : {"allowed.test.co.uk", "allowed.test.au", "allowed.test.test"}) {
    EXPECT_THAT(lab.ask(name).addresses, ElementsAre(kOwnV4)) << name;
    ASSERT_THAT(lab.log.about(name), SizeIs(1)) << name;
    EXPECT_EQ(lab.log.about(name).front().detail, "dns type A");
  }
  EXPECT_EQ(lab.ask("allowed.test.net.au").rcode(), DnsRcode::kNxDomain) << "control: a known search domain";
}

TEST(DnsServer, AWholeNameBelowASearchDomainIsRecordedUnderThatName) {
  DnsLab lab(honest, kLabPolicy, {kOwnV4}, "127.0.0.1", {}, search_list({"corp.example"}));
  EXPECT_EQ(lab.ask("git.corp.example").rcode(), DnsRcode::kNxDomain) << "could be a completed 'git'";
  EXPECT_THAT(lab.ask("git.corp.example.corp.example").addresses, ElementsAre(kOwnV4)) << "so it was not";
  EXPECT_THAT(lab.log.about("git.corp.example.corp.example"), IsEmpty());
  EXPECT_THAT(lab.log.about("git.corp.example"), SizeIs(1));
  EXPECT_THAT(lab.ask("git.corp.example").addresses, ElementsAre(kOwnV4)) << "from now on it is known";
}

TEST(DnsServer, ANameThatWasCompletedBeforeIsAskedInFull) {
  DnsLab lab(honest, kLabPolicy, {kOwnV4}, "127.0.0.1", {},
             search_list({"default.svc.cluster.local", "cluster.local"}, 5));
  EXPECT_EQ(lab.ask("db.default.svc.cluster.local.default.svc.cluster.local").rcode(), DnsRcode::kNxDomain);
  EXPECT_EQ(lab.ask("db.default.svc.cluster.local").rcode(), DnsRcode::kNxDomain) << "a local name that is denied";
  EXPECT_THAT(lab.log.records(), SizeIs(1));
  EXPECT_THAT(lab.log.about("db.default.svc.cluster.local"), SizeIs(1));
}

TEST(DnsServer, InObserveModeACompletedNameThatDoesNotExistIsNoFinding) {
  const auto nothing = [](const UpstreamQuestion& question) {
    return Replies{{question.name == "wiki.corp.example" ? question.addresses({kOrigin}) : question.error(3)}};
  };
  DnsLab lab(nothing, "mode: observe", {kOwnV4}, "127.0.0.1", {}, search_list({"corp.example"}));
  EXPECT_EQ(lab.ask("nosuchhost.corp.example").rcode(), DnsRcode::kNxDomain);
  EXPECT_THAT(lab.log.records(), IsEmpty());
  EXPECT_THAT(lab.ask("wiki.corp.example").addresses, ElementsAre(kOrigin)) << "control";
  EXPECT_THAT(lab.log.about("wiki.corp.example"), SizeIs(1));
}

DeniedNetworks denied_networks() {
  return {.v4 = base::Cidr::parse("100.65.0.0/16").value(), .v6 = base::Cidr::parse("fd73:6f6c:6572:1::/64").value()};
}

TEST(DnsServer, EachDeniedNameHasAnAddressThatStandsForIt) {
  DnsLab lab(honest, kLabPolicy, {kOwnV4, kOwnV6}, "127.0.0.1", {}, {}, denied_networks());
  const auto first = lab.ask("evil.test");
  ASSERT_THAT(first.addresses, SizeIs(1));
  EXPECT_THAT(first.addresses, ElementsAre("100.65.4.0"));
  EXPECT_LE(first.response.answers.at(0).ttl, 5U);
  EXPECT_THAT(lab.ask("evil.test", kAaaa).addresses, ElementsAre("fd73:6f6c:6572:1::400"));
  EXPECT_THAT(lab.ask("worse.test").addresses, ElementsAre("100.65.4.1"));
  EXPECT_THAT(lab.ask("evil.test").addresses, ElementsAre("100.65.4.0")) << "it stays";
  EXPECT_THAT(lab.ask("evil.test", kHttps).response.answers, IsEmpty());
  EXPECT_THAT(lab.ask("gateway.internal").addresses, ElementsAre(kOwnV4)) << "control";
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin)) << "control";

  const auto evil = base::HostName::parse("evil.test").value();
  const auto stands_in = base::IpAddress::parse("100.65.4.0").value();
  EXPECT_TRUE(lab.names->is_denied(stands_in));
  EXPECT_THAT(lab.names->names_of(stands_in), ElementsAre(evil));
  EXPECT_EQ(lab.names->looked_up_as(base::IpAddress::parse("127.0.0.1").value(), stands_in), evil);
  EXPECT_EQ(lab.names->looked_up_as(base::IpAddress::parse("10.0.0.9").value(), stands_in), std::nullopt);
  lab.names->remember(evil, {stands_in}, Clock::now() + std::chrono::hours(1));
  EXPECT_FALSE(lab.names->leads_to(evil, stands_in)) << "it is never dialled, whatever a policy says later";
}

TEST(DnsServer, AFamilyTheGatewayLacksHasNoAddressForADeniedName) {
  DnsLab lab(honest, kLabPolicy, {kOwnV4}, "127.0.0.1", {}, {}, denied_networks());
  EXPECT_THAT(lab.ask("evil.test", kAaaa).addresses, IsEmpty());
  EXPECT_THAT(lab.ask("evil.test").addresses, ElementsAre("100.65.4.0")) << "control";
}

TEST(DnsServer, UpstreamCannotTellTheAddressOfADeniedName) {
  DnsLab lab([](const UpstreamQuestion& question) { return Replies{{question.addresses({"100.65.4.0", kOrigin})}}; },
             "domains: [{host: allowed.test, addresses: [0.0.0.0/0]}]", {kOwnV4}, "127.0.0.1", {}, {},
             denied_networks());
  EXPECT_THAT(lab.ask("evil.test").addresses, ElementsAre("100.65.4.0"));
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin));
}

TEST(DnsServer, AFloodOfDeniedNamesIsAnsweredWithTheGatewaysOwnAddress) {
  DnsLab lab(honest, kLabPolicy, {kOwnV4}, "127.0.0.1", {}, {}, denied_networks());
  std::set<std::string> told;
  for (std::size_t i = 0; i < DeniedAddresses::kNamesPerClient; ++i) {
    told.insert(lab.ask("n" + std::to_string(i) + ".evil.test").addresses.at(0));
  }
  EXPECT_THAT(told, SizeIs(DeniedAddresses::kNamesPerClient));
  EXPECT_THAT(lab.ask("one-more.evil.test").addresses, ElementsAre(kOwnV4));
  EXPECT_THAT(lab.ask("n0.evil.test").addresses, ElementsAre("100.65.4.0")) << "control: what was given stays";
}

TEST(DnsServer, APolicyCanSayThatDeniedNamesDoNotExist) {
  DnsLab lab(honest, std::string(kLabPolicy) + "denied_names: nxdomain\n");
  for (const unsigned type : {kA, kAaaa, kHttps}) EXPECT_EQ(lab.ask("evil.test", type).rcode(), DnsRcode::kNxDomain);
  EXPECT_THAT(lab.log.about("evil.test"), SizeIs(3)) << "denied and recorded as ever";
  EXPECT_THAT(lab.ask("gateway.internal").addresses, ElementsAre(kOwnV4)) << "control";
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin)) << "control";
}

TEST(DnsServer, TellsWhyInAnExtendedError) {
  DnsLab lab([](const UpstreamQuestion& question) -> Replies {
    if (question.name == "private.test") return {{question.addresses({"192.168.0.1"})}};
    if (question.name == "cdn-allowed.test") return {{question.error(2)}};
    return honest(question);
  });
  using ::testing::HasSubstr;
  const auto error = [](unsigned code, const std::string& text) {
    return wire::u16(15) + wire::with_length(wire::u16(code) + text);
  };
  EXPECT_THAT(lab.ask_edns("evil.test"), HasSubstr(error(15,
                                                         "evil.test is not in the policy: "
                                                         "http://gateway.internal/policy")));
  EXPECT_THAT(lab.ask_edns("nosuchhost"), HasSubstr(error(15,
                                                          "nosuchhost is not in the policy: "
                                                          "http://gateway.internal/policy")));
  EXPECT_THAT(lab.ask_edns("private.test"), HasSubstr("private.test resolves to a private address"));
  EXPECT_THAT(lab.ask_edns("cdn-allowed.test"), HasSubstr(error(22, "no upstream DNS server gave an answer")));
  EXPECT_THAT(lab.ask_edns("allowed.test"), ::testing::Not(HasSubstr(wire::u16(15)))) << "control";
  EXPECT_THAT(lab.raw(wire::query(1, "evil.test", kA)), ::testing::Not(HasSubstr("policy"))) << "no EDNS asked for";
  std::string longest;
  for (int i = 0; i < 4; ++i) longest += std::string(60, 'a') + ".";
  EXPECT_THAT(lab.ask_edns(longest + "test"), HasSubstr("aaa.test is not in the policy")) << "cut in front";
}

TEST(DnsServer, InObserveModeDeniedNamesPassAndAreLogged) {
  DnsLab lab(honest, "mode: observe\ndomains: [allowed.test]\n");
  EXPECT_THAT(lab.ask("evil.test").addresses, ElementsAre(kOrigin));
  const auto record = lab.log.about("evil.test").at(0);
  EXPECT_EQ(record.reason, "host_not_allowed");
  EXPECT_EQ(record.detail, "dns type A, passed: the policy's mode is observe");
  EXPECT_FALSE(record.allowed) << "what enforcing would have done";
  EXPECT_TRUE(record.observed);
  EXPECT_THAT(lab.ask("allowed.test").addresses, ElementsAre(kOrigin));
  EXPECT_FALSE(lab.log.about("allowed.test").at(0).observed) << "control";
  EXPECT_EQ(lab.ask("metadata.google.internal").rcode(), DnsRcode::kNxDomain) << "special names do not";
}

}  // namespace
}  // namespace soleroute::gateway::dns
