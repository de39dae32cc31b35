// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/doctor_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"

namespace soleroute::gateway::commands {
namespace {

using Findings = std::vector<Finding>;

void ok(Findings& out, std::string what) {
  out.push_back({Level::kOk, std::move(what), {}});
}
void note(Findings& out, std::string what, std::string fix) {
  out.push_back({Level::kNote, std::move(what), std::move(fix)});
}
void problem(Findings& out, std::string what, std::string fix) {
  out.push_back({Level::kProblem, std::move(what), std::move(fix)});
}

void kernel(const DoctorFacts& facts, Findings& out) {
  if (!facts.kernel) {
    return note(out, "nftables not checked: needs root (" + facts.kernel.error().message + ")",
                "run it as root, or in the gateway's container");
  }
  const netrules::Features& features = *facts.kernel;
  const auto missing = features.missing();
  for (const auto& line : missing)
    problem(out, line, "load the kernel module on the machine, or use a kernel that has it");
  if (missing.empty()) ok(out, "the kernel has the required nftables features");
  if (features.native_queue) return ok(out, "the kernel can log refused packets (nft queue)");
  if (features.compat_queue) return ok(out, "the kernel can log refused packets (NFQUEUE through nft_compat)");
  note(out, "refused packets other than DNS, HTTP and TLS are not logged",
       "load nft_queue or xt_NFQUEUE on the machine");
}

void on_the_machine(const DoctorFacts& facts, Findings& out) {
  if (facts.user_namespaces) {
    ok(out, "user namespaces are enabled: 'gateway run' needs no root");
  } else {
    note(out, "user namespaces are disabled: 'gateway run' needs sudo",
         "sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000 (if the kernel has them)");
  }
}

bool has_address_in(const netlink::Interface& interface, const base::Cidr& subnet) {
  return std::ranges::any_of(interface.addresses, [&](const auto& own) { return subnet.contains(own.address); });
}

// Such as a home network that happens to have the project's numbers.
void same_numbers_elsewhere(const EngineNetwork& network, const std::vector<netlink::Interface>& interfaces,
                            Findings& out) {
  for (const auto& interface : interfaces) {
    if (interface.loopback || interface.name == network.bridge) continue;
    for (const auto& subnet : network.subnets) {
      if (!has_address_in(interface, subnet)) continue;
      problem(out,
              fmt::format("network {} has the subnet {}, and so has this machine's {}: one hides the other",
                          base::shown(network.name), subnet.to_string(), interface.name),
              "docker compose down, gateway init --replace --network CIDR, docker compose up -d");
    }
  }
}

void one_network(const EngineNetwork& network, bool netfilter, Findings& out) {
  const std::string name = "network " + base::shown(network.name);
  if (network.internal && netfilter) {
    problem(out, name + " is internal, and bridge netfilter is on: the engine drops the agent's traffic to the gateway",
            "remove `internal: true`; the template's network is closed without it");
  }
  if (network.ipv6 && !network.route_v6) {
    problem(out, name + " has IPv6, and no gateway is its route",
            "remove `enable_ipv6`, or set aux_addresses DefaultGatewayIPv6 and give the gateway a second --claim");
  }
  if (network.masquerade && !network.internal) {
    problem(out, name + " is masqueraded by the engine: a container with another route bypasses the gateway",
            "driver_opts: com.docker.network.bridge.enable_ip_masquerade: \"false\"");
  }
}

void engine(const DoctorFacts& facts, Findings& out) {
  if (!facts.networks) {
    return note(out, "container engine not found; skipped (" + facts.networks.error().message + ")",
                "pass its socket: --engine SOCKET");
  }
  const bool netfilter = facts.bridge_netfilter.value_or(false);
  int agents = 0;
  for (const EngineNetwork& network : *facts.networks) {
    if (!network.route_v4 && !network.route_v6) continue;  // not made for a gateway
    ++agents;
    const std::size_t before = out.size();
    one_network(network, netfilter, out);
    same_numbers_elsewhere(network, facts.interfaces, out);
    if (out.size() == before) ok(out, "network " + base::shown(network.name) + " leads only to its gateway");
  }
  if (agents == 0) {
    note(out, "the engine has no network for a gateway (aux_addresses DefaultGatewayIPv4)",
         "create a stack with 'gateway init', then: docker compose up -d");
  }
}

// Is there a way out at all? What else could be said of the network follows from it.
bool ways_out(const DoctorFacts& facts, Findings& out) {
  const auto links = std::ranges::count_if(facts.interfaces, [](const auto& one) { return !one.loopback; });
  if (links == 0) {
    problem(out,
            "this container has no network interface: the container that owns its network (agent-net) stopped or "
            "restarted",
            "docker compose up -d");
  } else if (links > 1) {
    problem(out, fmt::format("attached to {} networks; only one goes through the gateway", links),
            "attach the agent only to the gateway's network");
  } else {
    ok(out, "only one network: the gateway's");
  }
  return links > 0;
}

bool is_global_v6(const base::InterfaceAddress& own) {
  return own.address.is_v6() && own.address.bytes()[0] != 0xfe;
}

// Is it on a network of one of these addresses?
bool faces(const netlink::Interface& interface, const std::vector<base::InterfaceAddress>& claim) {
  for (const auto& claimed : claim) {
    const auto near = [&](const auto& own) { return own.subnet().contains(claimed.address); };
    if (std::ranges::any_of(interface.addresses, near)) return true;
  }
  return false;
}

void in_the_gateway(const DoctorFacts& facts, Findings& out) {
  if (facts.effective_powers.admin) {
    ok(out, "has CAP_NET_ADMIN");
  } else {
    problem(out, "CAP_NET_ADMIN is missing: cannot install rules or claim an address",
            "cap_add: [NET_ADMIN] for this service");
  }
  for (const auto& address : facts.claimed_elsewhere) {
    problem(out, fmt::format("another machine on this network already uses {}", address.to_string()),
            "stop the other gateway, or move this project: gateway init --replace --network CIDR");
  }
  const bool claims_v6 = std::ranges::any_of(facts.claim, [](const auto& own) { return own.address.is_v6(); });
  for (const auto& interface : facts.interfaces) {
    const bool global_v6 = std::ranges::any_of(interface.addresses, is_global_v6);
    if (!faces(interface, facts.claim) || !global_v6 || claims_v6) continue;
    problem(out, fmt::format("the agents' network on {} has IPv6, and no gateway is its route", interface.name),
            "remove `enable_ipv6` from the network, or --claim an IPv6 address too");
  }
}

void upstream_resolvers(const DoctorFacts& facts, Findings& out) {
  for (const auto& resolver : facts.answering_resolvers) ok(out, fmt::format("resolver {} answers", resolver));
  for (const auto& resolver : facts.silent_resolvers) {
    note(out, fmt::format("resolver {} does not answer", resolver), "check the network, or pass --resolver ADDR");
  }
  for (const auto& fault : facts.resolver_faults) note(out, fault, "");
  for (const auto& [resolver, range] : facts.placeholders) {
    note(out, fmt::format("resolver {} hands out placeholder addresses", resolver),
         fmt::format("add to the policy: addresses: [{}]", range.to_string()));
  }
}

void in_the_guard(const DoctorFacts& facts, Findings& out) {
  if (facts.effective_powers.admin) {
    ok(out, "has CAP_NET_ADMIN");
  } else {
    problem(out, "CAP_NET_ADMIN is missing: cannot install rules", "cap_add: [NET_ADMIN] for this service");
  }
  ways_out(facts, out);
}

void in_the_agent(const DoctorFacts& facts, Findings& out) {
  if (facts.powers.any()) {
    problem(out, fmt::format("this container has {}: programs here can bypass the rules", to_string(facts.powers)),
            "cap_drop: [ALL] and security_opt: [\"no-new-privileges:true\"] for this service");
  } else {
    ok(out, "no network capabilities: programs here cannot bypass the rules");
  }
  if (facts.jail) return ok(out, "this is a 'gateway run' sandbox");
  if (!ways_out(facts, out)) return;
  for (const auto& resolver : facts.refusing_resolvers) {
    problem(out,
            fmt::format("resolver {} refuses queries: Docker's DNS rules in this namespace were flushed",
                        resolver.to_string()),
            "restart the container: docker compose restart agent-net (the other containers follow)");
  }
}

std::optional<std::string> text_in(const nlohmann::json& config, const char* key, const char* name) {
  const auto found = config.find(key);
  if (found == config.end() || !found->is_object()) return std::nullopt;
  const auto value = found->find(name);
  if (value == found->end() || !value->is_string()) return std::nullopt;
  return value->get<std::string>();
}

std::optional<std::string> aux_address(const nlohmann::json& network, const char* name) {
  const auto ipam = network.find("IPAM");
  if (ipam == network.end() || !ipam->is_object() || !ipam->contains("Config")) return std::nullopt;
  for (const auto& config : (*ipam)["Config"]) {
    if (!config.is_object()) continue;
    for (const char* key : {"AuxiliaryAddresses", "AuxAddress"}) {
      if (auto value = text_in(config, key, name)) return value;
    }
  }
  return std::nullopt;
}

std::string text_of(const nlohmann::json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::vector<base::Cidr> subnets_of(const nlohmann::json& network) {
  std::vector<base::Cidr> all;
  const auto ipam = network.find("IPAM");
  if (ipam == network.end() || !ipam->is_object() || !ipam->contains("Config")) return all;
  for (const auto& config : (*ipam)["Config"]) {
    if (auto subnet = base::Cidr::parse(text_of(config, "Subnet")); subnet) all.push_back(*subnet);
  }
  return all;
}

// As Docker names it, unless the network's options do.
std::string bridge_of(const nlohmann::json& network) {
  constexpr std::size_t kShortIdentity = 12;
  const auto options = network.find("Options");
  const std::string given =
      options == network.end() ? std::string{} : text_of(*options, "com.docker.network.bridge.name");
  return given.empty() ? "br-" + text_of(network, "Id").substr(0, kShortIdentity) : given;
}

std::string_view level_name(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kNote:
      return "note";
    case Level::kProblem:
      return "problem";
  }
  return "";
}

bool flag(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

bool masqueraded(const nlohmann::json& network) {
  const auto options = network.find("Options");
  if (options == network.end() || !options->is_object()) return true;
  const auto found = options->find("com.docker.network.bridge.enable_ip_masquerade");
  return found == options->end() || *found != "false";
}

}  // namespace

std::vector<Finding> diagnose(const DoctorFacts& facts) {
  Findings out;
  if (facts.rules_left_over) {
    problem(out, "nftables table inet soleroute is left over and blocks this network; no gateway runs here",
            "gateway unguard");
  }
  switch (facts.place) {
    case Place::kMachine:
      kernel(facts, out);
      on_the_machine(facts, out);
      engine(facts, out);
      upstream_resolvers(facts, out);
      break;
    case Place::kGateway:
      kernel(facts, out);
      in_the_gateway(facts, out);
      upstream_resolvers(facts, out);
      break;
    case Place::kGuard:
      kernel(facts, out);
      in_the_guard(facts, out);
      break;
    case Place::kAgent:
      in_the_agent(facts, out);
      break;
  }
  if (facts.place == Place::kMachine) return out;
  for (const auto& neighbour : facts.netns_processes) problem(out, neighbour, "stop it or drop those capabilities");
  return out;
}

std::string to_text(const Finding& finding) {
  const char* word = "ok";
  if (finding.level == Level::kNote) word = "note";
  if (finding.level == Level::kProblem) word = "PROBLEM";
  std::string text = fmt::format("{:<7}  {}\n", word, finding.what);
  if (!finding.fix.empty()) text += fmt::format("         fix: {}\n", finding.fix);
  return text;
}

std::string to_json(const std::vector<Finding>& findings) {
  using Json = nlohmann::ordered_json;
  auto list = Json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"level", level_name(finding.level)}, {"text", finding.what}, {"fix", finding.fix}});
  }
  return Json{{"findings", std::move(list)}}.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

bool is_jail(const std::vector<netlink::Interface>& interfaces, const std::vector<netlink::DefaultRoute>& routes) {
  return std::ranges::any_of(routes, [&](const netlink::DefaultRoute& route) {
    const auto there = std::ranges::find(interfaces, route.interface_index, &netlink::Interface::index);
    return there != interfaces.end() && there->loopback;
  });
}

base::Result<std::vector<EngineNetwork>> parse_networks(std::string_view json) {
  const auto list = nlohmann::json::parse(json, nullptr, false);
  if (!list.is_array()) return base::system_error("unexpected answer of the container engine: no list of networks");
  std::vector<EngineNetwork> networks;
  for (const auto& item : list) {
    if (!item.is_object()) continue;
    EngineNetwork network;
    const auto name = item.find("Name");
    if (name != item.end() && name->is_string()) network.name = name->get<std::string>();
    network.internal = flag(item, "Internal");
    network.ipv6 = flag(item, "EnableIPv6");
    network.masquerade = masqueraded(item);
    network.bridge = bridge_of(item);
    network.subnets = subnets_of(item);
    network.route_v4 = aux_address(item, "DefaultGatewayIPv4");
    network.route_v6 = aux_address(item, "DefaultGatewayIPv6");
    networks.push_back(std::move(network));
  }
  return networks;
}

}  // namespace soleroute::gateway::commands
