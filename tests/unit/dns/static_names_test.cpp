// Names with addresses that people wrote down: the hosts file, `hosts:` of the policy, and what DNS makes of them.
// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/static_names.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/support/temporary_folder.h"
#include "tests/unit/dns/dns_lab.h"

namespace soleroute::gateway::dns {
namespace {

using sniffer::DnsRcode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr unsigned kAaaa = 28;

base::HostName named(std::string_view text) {
  return base::HostName::parse(text).value();
}

std::vector<std::string> texts(const std::vector<base::IpAddress>& addresses) {
  std::vector<std::string> out;
  for (const auto& address : addresses) out.push_back(address.to_string());
  return out;
}

TEST(HostsFile, IsReadAsTheCLibraryReadsIt) {
  const auto table = parse_hosts(
      "# a comment\n\n"
      "10.1.2.3\tbuild.corp build  BUILD.example # with words\r\n"
      "  fd00::3 build.corp\n"
      "10.1.2.4 build.corp my_db\n"
      "no-address a.test\n10.1.2.5\n10.1.2.6 -bad- 1.2.3.4 good.test\n10.1.2.7 last.test",
      "machine");
  EXPECT_THAT(table, SizeIs(6));
  EXPECT_THAT(texts(table.at(named("build.corp"))), ElementsAre("10.1.2.3", "fd00::3", "10.1.2.4"));
  EXPECT_THAT(texts(table.at(named("build.example"))), ElementsAre("10.1.2.3"));
  EXPECT_THAT(texts(table.at(named("my_db"))), ElementsAre("10.1.2.4"));
  EXPECT_THAT(texts(table.at(named("good.test"))), ElementsAre("10.1.2.6"));
  EXPECT_THAT(texts(table.at(named("last.test"))), ElementsAre("10.1.2.7"));
}

// What engines and distributions write there about the machine itself is no name for others.
TEST(HostsFile, HasNoNamesOfTheMachineItself) {
  const auto table = parse_hosts(
      "127.0.0.1 localhost a.test\n::1 localhost ip6-localhost b.test\nfe00:: ip6-localnet\nff02::1 ip6-allnodes\n"
      "169.254.169.254 metadata.test\n0.0.0.0 blocked.test\n172.17.0.2 f00dcafe f00dcafe.lan\n"
      "10.0.0.1 x.localhost gateway.internal x.onion other.test\n",
      "f00dcafe.lan");
  EXPECT_FALSE(table.contains(named("f00dcafe")));
  EXPECT_FALSE(table.contains(named("f00dcafe.lan")));
  for (const auto* absent : {"localhost", "a.test", "b.test", "metadata.test", "blocked.test", "x.localhost",
                             "gateway.internal", "x.onion", "ip6-allnodes"}) {
    EXPECT_FALSE(table.contains(named(absent))) << absent;
  }
  EXPECT_TRUE(table.contains(named("other.test"))) << "control: the rest of such a line";
}

TEST(HostsFile, IsBounded) {
  std::string text;
  for (std::size_t i = 0; i < kMaxHostsNames + 10; ++i) text += "10.0.0.1 n" + std::to_string(i) + ".test\n";
  for (int i = 1; i < 40; ++i) text += "10.0.1." + std::to_string(i) + " n0.test\n";
  const auto table = parse_hosts(text, "machine");
  EXPECT_EQ(table.size(), kMaxHostsNames);
  EXPECT_EQ(table.at(named("n0.test")).size(), kMaxHostsAddresses);
}

void write(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  std::ofstream(fresh) << text;
  std::rename(fresh.c_str(), path.c_str());
}

TEST(StaticNames, FollowTheFileAndPreferThePolicy) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("hosts");
  write(path, "10.1.2.3 a.test\n10.1.2.4 b.test\n");
  StaticNames names(path, std::chrono::milliseconds(0));
  const auto of = [&](std::string_view name) {
    const auto found = names.find(named(name));
    return found ? texts(*found) : std::vector<std::string>{};
  };
  EXPECT_THAT(of("a.test"), ElementsAre("10.1.2.3"));
  EXPECT_THAT(of("c.test"), IsEmpty());
  const policy::PolicySource source{"policy.yaml", "hosts: {b.test: 10.9.9.9, d.test: [10.9.9.8, 10.9.9.7]}\n"};
  names.use(policy::Policy::compile(std::span(&source, 1)).value());
  EXPECT_THAT(of("b.test"), ElementsAre("10.9.9.9")) << "the policy comes first";
  EXPECT_THAT(of("d.test"), ElementsAre("10.9.9.8", "10.9.9.7"));
  write(path, "10.1.2.5 a.test\n");
  EXPECT_THAT(of("a.test"), ElementsAre("10.1.2.5"));
  std::remove(path.c_str());
  EXPECT_THAT(of("a.test"), IsEmpty());
  EXPECT_THAT(of("b.test"), ElementsAre("10.9.9.9"));
}

TEST(StaticNames, AreNotThoseOfAFileThatIsNone) {
  StaticNames folder("/");
  EXPECT_EQ(folder.find(named("a.test")), nullptr);
  StaticNames none;
  EXPECT_EQ(none.find(named("a.test")), nullptr);
}

DnsLab::Script public_everywhere() {
  return [](const testing::UpstreamQuestion& question) -> testing::ScriptedUpstream::Replies {
    return {{question.addresses({kOrigin, "2600:3c01::10"})}};
  };
}

constexpr const char* kHosts = R"(
hosts:
  build.test: 10.1.2.3
  two.wild.test: [10.1.2.4, 45.33.32.77, "fd00::4"]
  here.test: 127.0.0.1
  meta.test: 169.254.169.254
  own.test: 10.77.0.2
  denied.test: 10.1.2.9
  db.test: 10.1.2.5
domains: [build.test, "*.wild.test", here.test, meta.test, own.test]
endpoints: [{host: db.test, port: 5432}]
)";

TEST(DnsServer, AnswersTheAddressesThatThePolicyGives) {
  DnsLab lab(public_everywhere(), kHosts);
  EXPECT_THAT(lab.ask("build.test").addresses, ElementsAre("10.1.2.3"));
  EXPECT_THAT(lab.ask("build.test", kAaaa).addresses, IsEmpty());
  EXPECT_EQ(lab.ask("build.test", kAaaa).rcode(), DnsRcode::kNoError);
  EXPECT_THAT(lab.ask("two.wild.test").addresses, ::testing::UnorderedElementsAre("10.1.2.4", "45.33.32.77"));
  EXPECT_THAT(lab.ask("two.wild.test", kAaaa).addresses, ElementsAre("fd00::4"));
  EXPECT_THAT(lab.ask("db.test").addresses, ElementsAre("10.1.2.5"));
  EXPECT_THAT(lab.ask("build.test", 65).response.answers, IsEmpty()) << "no hints lead elsewhere";
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
  EXPECT_THAT(lab.ask("one.wild.test").addresses, ElementsAre(kOrigin)) << "control: any other name is asked for";
  EXPECT_TRUE(lab.names->leads_to(named("build.test"), base::IpAddress::parse("10.1.2.3").value()));
}

// A person wrote it down for this name, but that opens nothing of the machine itself, and allows no name.
TEST(DnsServer, KeepsStaticAddressesWithinTheAddressRules) {
  DnsLab lab(public_everywhere(), kHosts);
  for (const auto* name : {"here.test", "meta.test", "own.test"}) {
    EXPECT_THAT(lab.ask(name).addresses, IsEmpty()) << name;
    EXPECT_EQ(lab.ask(name).rcode(), DnsRcode::kNoError) << name;
  }
  for (const auto& address : lab.ask("denied.test").addresses) EXPECT_NE(address, "10.1.2.9");
  EXPECT_THAT(lab.upstream.seen(), IsEmpty());
  DnsLab listed(public_everywhere(),
                "hosts: {here.test: 127.0.0.1}\n"
                "domains: [{host: here.test, addresses: [127.0.0.1/32]}]\n");
  EXPECT_THAT(listed.ask("here.test").addresses, ElementsAre(kOwnV4)) << "control: the gateway stands in for loopback";
}

}  // namespace
}  // namespace soleroute::gateway::dns
