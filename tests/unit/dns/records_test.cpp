// SRV, TXT, PTR and canonical names: given where the policy allows every name in them, else left out.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>

#include <string>
#include <string_view>

#include "tests/unit/dns/dns_lab.h"

namespace soleroute::gateway::dns {
namespace {

namespace wire = testing::dns_wire;
using sniffer::DnsRcode;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr unsigned kPtr = 12;
constexpr unsigned kTxt = 16;
constexpr unsigned kAaaa = 28;
constexpr unsigned kSrv = 33;

std::string number(unsigned value) {
  return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)};
}

std::string srv(std::string_view target, unsigned port = 27017) {
  return wire::record(wire::kToQuestion, kSrv, 60, number(1) + number(2) + number(port) + wire::name(target));
}

std::string txt(std::string_view text) {
  return wire::record(wire::kToQuestion, kTxt, 60, std::string(1, static_cast<char>(text.size())) + std::string(text));
}

// A cluster as mongodb+srv means it, aliases, and addresses for everything else.
testing::ScriptedUpstream::Replies upstream(const testing::UpstreamQuestion& q) {
  if (q.type == kSrv && q.name.ends_with("cluster.test")) {
    return {
        {q.response({.answers = 4}, srv("a.nodes.test") + srv("b.nodes.test", 27018) + srv("evil.test") + srv(""))}};
  }
  if (q.type == kSrv && q.name == "_x._tcp.away.test") return {{q.response({.answers = 1}, srv("evil.test"))}};
  if (q.type == kTxt) return {{q.response({.answers = 1}, txt("authSource=admin&replicaSet=r0"))}};
  if (q.type != 1 && q.type != kAaaa) return {{q.response({}, "")}};
  if (!q.name.starts_with("alias-")) return {{q.addresses({kOrigin, "2600:3c01::10"})}};
  const std::string target = q.name.substr(std::string_view("alias-").size());
  const auto alias = wire::record(wire::kToQuestion, 5, 60, wire::name(target));
  const std::string address("\x2d\x21\x20\x0a", 4);
  if (q.type == kAaaa) return {{q.response({.answers = 1}, alias)}};
  return {{q.response({.answers = 2}, alias + wire::record(wire::name(target), 1, 60, address))}};
}

constexpr const char* kPolicy = R"(
domains:
  - {host: cluster.test, txt: true}
  - "*.nodes.test"
  - plain.test
  - away.test
  - alias-a.nodes.test
  - alias-evil.test
  - alias-alias-evil.test
endpoints:
  - {host: db.test, port: 5432, txt: true}
  - {host: other.test, port: 5432}
)";

std::vector<std::string> targets(const Reading& reading) {
  std::vector<std::string> out;
  for (const auto& record : reading.response.answers) {
    if (record.location) out.push_back(record.location->target.text() + ":" + std::to_string(record.location->port));
  }
  return out;
}

TEST(DnsRecords, SrvOfAnAllowedNameHasItsAllowedTargets) {
  DnsLab lab(upstream, kPolicy);
  for (const auto* name :
       {"_mongodb._tcp.cluster.test", "_x.cluster.test", "cluster.test", "_MONGODB._tcp.cluster.test"}) {
    EXPECT_THAT(targets(lab.ask(name, kSrv)), ElementsAre("a.nodes.test:27017", "b.nodes.test:27018", ".:27017"))
        << name;
  }
  EXPECT_THAT(lab.log.about("evil.test"), SizeIs(::testing::Ge(1U))) << "a person can list the target";
  const auto none = lab.ask("_x._tcp.away.test", kSrv);
  EXPECT_THAT(none.response.answers, IsEmpty());
  EXPECT_EQ(none.rcode(), DnsRcode::kNoError);
}

TEST(DnsRecords, SrvOfADeniedNameIsNotAsked) {
  DnsLab lab(upstream, kPolicy);
  for (const auto* name :
       {"_mongodb._tcp.denied.test", "_x.evil.test", "_tcp", "_a._b", "x._mongodb._tcp.cluster.test",
        "data._x.cluster.test", "_a._b._c.cluster.test", "_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa._tcp.cluster.test",
        "_mongodb._tcp.localhost", "_x.a.onion"}) {
    EXPECT_THAT(lab.ask(name, kSrv).response.answers, IsEmpty()) << name;
  }
  EXPECT_THAT(lab.ask("_mongodb._tcp.cluster.test").addresses, ::testing::Not(Contains(kOrigin)))
      << "A is another type";
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
}

TEST(DnsRecords, TxtNeedsItsKey) {
  DnsLab lab(upstream, kPolicy);
  for (const auto* name : {"cluster.test", "_dmarc.cluster.test", "db.test"}) {
    const auto reading = lab.ask(name, kTxt);
    ASSERT_THAT(reading.response.answers, SizeIs(1)) << name;
    EXPECT_EQ(reading.response.answers.front().text.size(), 31U) << name;
  }
  const auto asked = lab.upstream.seen().size();
  for (const auto* name :
       {"plain.test", "_dmarc.plain.test", "a.nodes.test", "other.test", "denied.test", "x.cluster.test"}) {
    EXPECT_THAT(lab.ask(name, kTxt).response.answers, IsEmpty()) << name;
  }
  EXPECT_EQ(lab.upstream.seen().size(), asked) << "never asked";
}

TEST(DnsRecords, TheCanonicalNameIsGivenWhereThePolicyAllowsIt) {
  DnsLab lab(upstream, kPolicy);
  const auto told = lab.ask("alias-a.nodes.test");
  ASSERT_THAT(told.response.answers, SizeIs(2));
  EXPECT_EQ(told.response.answers[0].target->text(), "a.nodes.test");
  EXPECT_EQ(told.response.answers[1].owner.text(), "a.nodes.test");
  EXPECT_THAT(told.addresses, ElementsAre(kOrigin));
  const auto hidden = lab.ask("alias-evil.test");
  ASSERT_THAT(hidden.response.answers, SizeIs(1)) << "control: a name that is not allowed";
  EXPECT_EQ(hidden.response.answers[0].owner.text(), "alias-evil.test");
  EXPECT_THAT(hidden.addresses, ElementsAre(kOrigin));
}

TEST(DnsRecords, APointerIsTheNameForWhichTheClientGotTheAddress) {
  DnsLab lab(upstream, kPolicy);
  const auto pointer_at = [&](std::string_view name) {
    const auto bytes = lab.raw(wire::query(0x4242, name, kPtr));
    return bytes.contains(wire::name("plain.test"));
  };
  EXPECT_FALSE(pointer_at("10.32.33.45.in-addr.arpa")) << "no client has the address yet";
  EXPECT_THAT(lab.ask("plain.test").addresses, ElementsAre(kOrigin));
  EXPECT_THAT(lab.ask("plain.test", kAaaa).addresses, ElementsAre("2600:3c01::10"));
  EXPECT_TRUE(pointer_at("10.32.33.45.in-addr.arpa"));
  std::string nibbles = "0.1.0.0.";
  for (int i = 0; i < 20; ++i) nibbles += "0.";
  EXPECT_TRUE(pointer_at(nibbles + "1.0.c.3.0.0.6.2.ip6.arpa"));
  for (const auto* name :
       {"11.32.33.45.in-addr.arpa", "010.32.33.45.in-addr.arpa", "32.33.45.in-addr.arpa", "1.10.32.33.45.in-addr.arpa",
        "10.32.33.45.ip6.arpa", "x.32.33.45.in-addr.arpa", "266.32.33.45.in-addr.arpa", "2.0.77.10.in-addr.arpa"}) {
    EXPECT_FALSE(pointer_at(name)) << name;
  }
  for (const auto& question : lab.upstream.seen()) EXPECT_THAT(question.name, ::testing::Not(HasSubstr("arpa")));
}

// Malformed records of these types are no way to say anything to a client.
TEST(DnsRecords, OfUpstreamThatAreNotWholeAreNotPassedOn) {
  const auto broken = [](const testing::UpstreamQuestion& q) -> testing::ScriptedUpstream::Replies {
    const auto rdata = q.type == kSrv ? number(1) + number(2) + number(3) : std::string("\x20short");
    return {{q.response({.answers = 1}, wire::record(wire::kToQuestion, q.type, 60, rdata))}};
  };
  DnsLab lab(broken, kPolicy);
  EXPECT_THAT(lab.ask("_x._tcp.cluster.test", kSrv).response.answers, IsEmpty());
  EXPECT_THAT(lab.ask("cluster.test", kTxt).response.answers, IsEmpty());
}

}  // namespace
}  // namespace soleroute::gateway::dns
