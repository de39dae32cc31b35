// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/doctor_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace soleroute::gateway::commands {
namespace {

netrules::Features whole_kernel() {
  netrules::Features features;
  features.nat_redirect = features.reject = features.inet_family = features.fib = features.native_queue = true;
  return features;
}

netlink::Interface link(const char* name, std::initializer_list<const char*> addresses) {
  netlink::Interface interface;
  interface.name = name;
  for (const char* address : addresses) interface.addresses.push_back(*base::InterfaceAddress::parse(address));
  return interface;
}

DoctorFacts healthy(Place place) {
  DoctorFacts facts;
  facts.place = place;
  facts.kernel = whole_kernel();
  facts.powers.admin = facts.effective_powers.admin = place == Place::kGateway || place == Place::kGuard;
  facts.user_namespaces = true;
  facts.bridge_netfilter = true;
  facts.networks = std::vector<EngineNetwork>{{.name = "p_inside",
                                               .internal = false,
                                               .ipv6 = false,
                                               .masquerade = false,
                                               .bridge = "br-p",
                                               .subnets = {*base::Cidr::parse("10.77.0.0/24")},
                                               .route_v4 = "10.77.0.2",
                                               .route_v6 = {}}};
  facts.interfaces = {link(place == Place::kMachine ? "br-p" : "eth0", {"10.77.0.3/24"})};
  if (place == Place::kGateway) facts.claim = {*base::InterfaceAddress::parse("10.77.0.2/24")};
  return facts;
}

int problems(const DoctorFacts& facts) {
  return static_cast<int>(
      std::ranges::count_if(diagnose(facts), [](const Finding& one) { return one.level == Level::kProblem; }));
}

std::string fixes(const DoctorFacts& facts) {
  std::string all;
  for (const Finding& finding : diagnose(facts)) {
    if (finding.level == Level::kProblem) all += finding.what + " | " + finding.fix + "\n";
  }
  return all;
}

EngineNetwork& network(DoctorFacts& facts) {
  return facts.networks->front();
}

TEST(Doctor, FindsNothingWhereAllIsWell) {
  for (const Place place : {Place::kMachine, Place::kGateway, Place::kGuard, Place::kAgent}) {
    EXPECT_EQ(fixes(healthy(place)), "");
    EXPECT_FALSE(diagnose(healthy(place)).empty());
  }
}

TEST(Doctor, NamesEachProblemWithItsFix) {
  struct Row {
    Place place;
    void (*spoil)(DoctorFacts&);
    const char* what;
    const char* fix;
  };
  const Row rows[] = {
      {Place::kMachine, [](DoctorFacts& f) { network(f).internal = true; }, "is internal", "remove `internal: true`"},
      {Place::kMachine, [](DoctorFacts& f) { network(f).ipv6 = true; }, "has IPv6", "enable_ipv6"},
      {Place::kMachine, [](DoctorFacts& f) { network(f).masquerade = true; }, "masqueraded", "enable_ip_masquerade"},
      {Place::kMachine, [](DoctorFacts& f) { f.kernel->reject = false; }, "reject is missing",
       "load the kernel module"},
      {Place::kMachine, [](DoctorFacts& f) { f.interfaces.push_back(link("wlan0", {"10.77.0.40/24"})); },
       "so has this machine's wlan0", "init --replace --network"},
      {Place::kGateway, [](DoctorFacts& f) { f.effective_powers.admin = false; }, "CAP_NET_ADMIN is missing",
       "cap_add"},
      {Place::kGuard, [](DoctorFacts& f) { f.effective_powers.admin = false; }, "CAP_NET_ADMIN is missing", "cap_add"},
      {Place::kGuard, [](DoctorFacts& f) { f.interfaces.clear(); }, "no network interface", "up -d"},
      {Place::kAgent,
       [](DoctorFacts& f) {
         f.interfaces.clear();
         f.refusing_resolvers = {*base::Endpoint::parse("127.0.0.11", 53)};  // follows from it: one problem, one fix
       },
       "no network interface", "up -d"},
      {Place::kGateway, [](DoctorFacts& f) { f.claimed_elsewhere = {f.claim.front().address}; },
       "already uses 10.77.0.2", "init --replace --network"},
      {Place::kGateway, [](DoctorFacts& f) { f.interfaces = {link("eth0", {"10.77.0.3/24", "fd77::3/64"})}; },
       "has IPv6", "enable_ipv6"},
      {Place::kAgent, [](DoctorFacts& f) { f.powers.raw = true; }, "CAP_NET_RAW", "cap_drop: [ALL]"},
      {Place::kAgent, [](DoctorFacts& f) { f.interfaces.push_back(link("eth1", {"10.1.0.2/24"})); },
       "attached to 2 networks", "only to"},
      {Place::kAgent, [](DoctorFacts& f) { f.refusing_resolvers = {*base::Endpoint::parse("127.0.0.11", 53)}; },
       "127.0.0.11:53 refuses queries", "restart agent-net"},
      {Place::kAgent, [](DoctorFacts& f) { f.netns_processes = {"process 7 has CAP_NET_RAW"}; }, "process 7",
       "stop it"},
  };
  for (const Row& row : rows) {
    DoctorFacts facts = healthy(row.place);
    row.spoil(facts);
    EXPECT_EQ(problems(facts), 1) << row.what;
    EXPECT_NE(fixes(facts).find(row.what), std::string::npos) << fixes(facts);
    EXPECT_NE(fixes(facts).find(row.fix), std::string::npos) << fixes(facts);
  }
}

std::string text_of(const DoctorFacts& facts) {
  std::string all;
  for (const Finding& finding : diagnose(facts)) all += to_text(finding);
  return all;
}

// SOLEROUTE_UPDATE_GOLDEN=1 writes the files anew; the diff is then the review.
void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(SOLEROUTE_SOURCE_DIR) + "/tests/golden/doctor-" + name + ".txt";
  if (std::getenv("SOLEROUTE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  EXPECT_EQ(text, std::string(std::istreambuf_iterator<char>(file), {})) << path;
}

TEST(Doctor, NamesAResolverThatHandsOutPlaceholders) {
  for (const auto place : {Place::kMachine, Place::kGateway}) {
    auto facts = healthy(place);
    const auto names_it = [&] {
      return std::ranges::any_of(diagnose(facts), [](const Finding& one) {
        return one.what == "resolver 198.18.0.2:53 hands out placeholder addresses" &&
               one.fix == "add to the policy: addresses: [198.18.0.0/15]";
      });
    };
    EXPECT_FALSE(names_it());
    facts.placeholders = {{"198.18.0.2:53", *base::Cidr::parse("198.18.0.0/15")}};
    EXPECT_TRUE(names_it());
  }
}

TEST(Doctor, PrintsJson) {
  EXPECT_EQ(to_json({{Level::kOk, "has \x1b\xff", ""}, {Level::kNote, "a", "b"}, {Level::kProblem, "c", "d"}}),
            R"({
  "findings": [
    {
      "level": "ok",
      "text": "has \u001b\ufffd",
      "fix": ""
    },
    {
      "level": "note",
      "text": "a",
      "fix": "b"
    },
    {
      "level": "problem",
      "text": "c",
      "fix": "d"
    }
  ]
}
)");
}

TEST(Doctor, SaysWhatTheGoldenFilesSay) {
  expect_golden("machine", text_of(healthy(Place::kMachine)));
  expect_golden("gateway", text_of(healthy(Place::kGateway)));
  expect_golden("guard", text_of(healthy(Place::kGuard)));
  expect_golden("agent", text_of(healthy(Place::kAgent)));
  DoctorFacts jail = healthy(Place::kAgent);
  jail.jail = true;
  jail.interfaces = {link("eth0", {"192.0.2.1/24"}), link("nowhere", {})};
  expect_golden("jail", text_of(jail));
}

// Every problem once, in the order of the places.
TEST(Doctor, SaysWhatTheGoldenFileOfProblemsSays) {
  DoctorFacts machine = healthy(Place::kMachine);
  machine.rules_left_over = true;
  machine.user_namespaces = false;
  machine.kernel->native_queue = machine.kernel->reject = false;
  network(machine).internal = network(machine).ipv6 = network(machine).masquerade = true;
  machine.interfaces.push_back(link("wlan0", {"10.77.0.40/24"}));
  DoctorFacts unasked = healthy(Place::kMachine);
  unasked.kernel = base::system_error("cannot probe the kernel");
  unasked.networks = base::system_error("connect to /var/run/docker.sock: No such file or directory");
  DoctorFacts empty = healthy(Place::kMachine);
  empty.networks->clear();
  DoctorFacts gateway = healthy(Place::kGateway);
  gateway.effective_powers.admin = false;
  gateway.claimed_elsewhere = {gateway.claim.front().address};
  gateway.interfaces = {link("eth0", {"10.77.0.3/24", "fd77::3/64"})};
  DoctorFacts agent = healthy(Place::kAgent);
  agent.powers.raw = true;
  agent.interfaces.push_back(link("eth1", {"10.1.0.2/24"}));
  agent.refusing_resolvers = {*base::Endpoint::parse("127.0.0.11", 53)};
  agent.netns_processes = {"process 7 (tcpdump) can bypass the rules"};
  DoctorFacts lost = healthy(Place::kGuard);
  lost.effective_powers.admin = false;
  lost.interfaces.clear();
  std::string all;
  for (const DoctorFacts* facts : {&machine, &unasked, &empty, &gateway, &agent, &lost}) all += text_of(*facts) + "\n";
  expect_golden("problems", all);
}

TEST(Doctor, KnowsASandboxByItsRoute) {
  netlink::Interface loopback{.index = 1, .name = "lo", .up = true, .loopback = true, .addresses = {}};
  netlink::Interface wire{.index = 2, .name = "eth0", .up = true, .loopback = false, .addresses = {}};
  netlink::DefaultRoute over_loopback;
  over_loopback.interface_index = loopback.index;
  netlink::DefaultRoute over_wire;
  over_wire.interface_index = wire.index;
  EXPECT_TRUE(is_jail({loopback, wire}, {over_loopback}));
  EXPECT_FALSE(is_jail({loopback, wire}, {over_wire}));
  EXPECT_FALSE(is_jail({loopback}, {}));
}

TEST(Doctor, LeavesInternalNetworksAloneWithoutBridgeNetfilterAndForeignOnesAltogether) {
  DoctorFacts facts = healthy(Place::kMachine);
  network(facts).internal = true;
  facts.bridge_netfilter = false;
  EXPECT_EQ(problems(facts), 0);
  facts.bridge_netfilter = true;
  network(facts) = EngineNetwork{};
  network(facts).internal = network(facts).ipv6 = true;
  EXPECT_EQ(problems(facts), 0);
}

TEST(Doctor, DoesNotTakeAnEngineThatWasNotAskedForHealthyOrIll) {
  DoctorFacts facts = healthy(Place::kMachine);
  facts.networks = base::system_error("no such file");
  EXPECT_EQ(problems(facts), 0);
  const auto findings = diagnose(facts);
  EXPECT_TRUE(std::ranges::any_of(findings, [](const Finding& one) { return one.level == Level::kNote; }));
}

TEST(Doctor, TellsAContainerFromAMachineWithALeftOverMark) {
  const std::string pid = "pid:[4026531836]", ipc = "ipc:[4026531839]", uts = "uts:[4026531838]";
  struct Row {
    ContainerMarks marks;
    bool container;
    const char* reason;
  };
  const Row rows[] = {
      {{true, {"pid:[4026532450]", "ipc:[4026532449]", "uts:[4026532448]"}}, true, "an engine's container"},
      {{true, {pid, "ipc:[4026532449]", "uts:[4026532448]"}}, true, "one that shares the machine's processes"},
      {{true, {pid, ipc, uts}}, false, "a machine whose image was once a container's"},
      {{false, {pid, ipc, uts}}, false, "a machine"},
      {{false, {"pid:[4026532450]", ipc, uts}}, false, "a process that somebody isolated without an engine"},
      {{true, {"", "", ""}}, true, "marked, and /proc says nothing: the narrower check is the safer one"},
  };
  for (const Row& row : rows) EXPECT_EQ(is_container(row.marks), row.container) << row.reason;
}

TEST(Doctor, LeavesAWiderNetworkOfTheMachineAlone) {
  DoctorFacts facts = healthy(Place::kMachine);
  facts.interfaces.push_back(link("tun0", {"10.0.0.5/8"}));
  EXPECT_EQ(problems(facts), 0) << "the more precise route wins";
}

TEST(ParseNetworks, ReadsWhatTheEngineSays) {
  const auto networks = parse_networks(
      R"([{"Name":"p_inside","Internal":false,"EnableIPv6":true,"Options":{"com.docker.network.bridge.enable_ip_masquerade":"false"},)"
      R"("IPAM":{"Config":[{"Subnet":"10.77.0.0/24","AuxiliaryAddresses":{"DefaultGatewayIPv4":"10.77.0.2"}}]}},)"
      R"({"Name":"none","Id":"0123456789abcdef","Internal":false,"EnableIPv6":false,"IPAM":{"Config":null},"Options":null}])");
  ASSERT_TRUE(networks.has_value());
  ASSERT_EQ(networks->size(), 2U);
  EXPECT_EQ((*networks)[0], (EngineNetwork{.name = "p_inside",
                                           .internal = false,
                                           .ipv6 = true,
                                           .masquerade = false,
                                           .bridge = "br-",
                                           .subnets = {*base::Cidr::parse("10.77.0.0/24")},
                                           .route_v4 = "10.77.0.2",
                                           .route_v6 = {}}));
  EXPECT_FALSE((*networks)[1].route_v4.has_value());
}

TEST(ParseNetworks, RefusesEverythingElse) {
  for (const char* text : {"", "{}", "[", R"({"message":"page not found"})"}) {
    EXPECT_FALSE(parse_networks(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace soleroute::gateway::commands
