// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/dry_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "gateway/host/network.h"
#include "gateway/netlink/links.h"
#include "gateway/serve/denied_networks.h"
#include "gateway/serve/rule_intent.h"
#include "gateway/serve/serving_policy.h"
#include "gateway/serve/upstream_route.h"

namespace soleroute::gateway::commands {
namespace {

using netrules::Topology;

constexpr std::uint16_t kFirstExamplePort = 15001;
constexpr const char* kExampleInterface = "inside0";
constexpr std::uint32_t kExampleGateway = 0xc0000201;  // 192.0.2.1, RFC 5737

std::uint16_t free_example_port(const netrules::Intent& intent) {
  std::uint16_t port = kFirstExamplePort;
  while (port == intent.redirect_port || port == intent.dns_port || port == intent.explicit_proxy_port ||
         port == intent.udp_port) {
    ++port;
  }
  return port;
}

void show_ports(ShownIntent& shown) {
  netrules::Intent& intent = shown.intent;
  if (intent.topology == Topology::kGuard) return;
  if (intent.redirect_port == 0) {
    intent.redirect_port = free_example_port(intent);
    shown.notes.push_back(
        fmt::format("Port {} is an example: serving uses any free port for redirected connections, or --listen.",
                    intent.redirect_port));
  }
  if (intent.dns_port == 0) {
    intent.dns_port = free_example_port(intent);
    shown.notes.push_back(fmt::format("Port {} is an example: serving uses any free port for DNS.", intent.dns_port));
  }
  const bool udp = std::ranges::any_of(intent.endpoints, [](const netrules::EndpointRule& endpoint) {
    return endpoint.transport == netrules::EndpointRule::Transport::kUdp;
  });
  if (udp) {
    intent.udp_port = free_example_port(intent);
    shown.notes.push_back(
        fmt::format("Port {} is an example: serving uses any free port for UDP endpoints.", intent.udp_port));
  }
}

// The name as given, or as serving would find it; reading interfaces needs no privilege.
void show_interface(ShownIntent& shown, const serve::ServeOptions& options) {
  netrules::Intent& intent = shown.intent;
  if (intent.topology != Topology::kRouter || !intent.inside_interface.empty()) return;
  const auto interfaces = netlink::list_interfaces();
  const auto inside = interfaces && !options.claim.empty()
                          ? host::find_inside(*interfaces, options.inside_interface, options.claim)
                          : base::Result<netlink::Interface>(base::system_error("not checked"));
  intent.inside_interface = inside ? inside->name : kExampleInterface;
  if (inside) return;
  shown.notes.push_back(
      fmt::format("Interface {} is an example: pass --inside IFACE, or --claim an address on its "
                  "subnet.",
                  kExampleInterface));
}

void show_gateway(ShownIntent& shown, const serve::ServeOptions& options) {
  netrules::Intent& intent = shown.intent;
  if (intent.topology != Topology::kGuard) return;
  intent.packet_queue.reset();  // nobody in the guarded namespace listens to it
  for (const auto& claimed : options.claim) intent.gateway_addresses.push_back(claimed.address);
  if (!intent.gateway_addresses.empty()) return;
  intent.gateway_addresses.push_back(base::IpAddress::v4(kExampleGateway));
  shown.notes.push_back(fmt::format("Address {} is an example: pass the gateway's with --claim.",
                                    intent.gateway_addresses.front().to_string()));
}

void show_queue(ShownIntent& shown, const base::Result<netrules::Features>& features) {
  netrules::Intent& intent = shown.intent;
  if (!intent.packet_queue) return;
  intent.native_queue = features && features->native_queue;
  if (intent.native_queue) return;
  if (features && !features->compat_queue) {
    intent.packet_queue.reset();
    shown.notes.emplace_back("This kernel cannot queue packets: refused packets are not logged.");
    return;
  }
  const char* why = features ? "This kernel has no native queue expression"
                             : "This kernel may have no native queue expression (not checked: needs user namespaces)";
  shown.notes.push_back(fmt::format(
      "{}: the xtables target NFQUEUE is used instead, shown as a comment because nft has no text for it.", why));
}

void note_resolvers(ShownIntent& shown, const serve::ServeOptions& options) {
  for (const auto& resolver : options.resolvers) {
    if (!resolver.suffix) continue;
    auto server = resolver;
    server.suffix.reset();
    shown.notes.push_back(
        fmt::format("Only {} is asked for {} and the names below it.", server.to_string(), resolver.suffix->text()));
  }
}

// A line stays a comment whatever is in it.
std::string comment(std::string_view prefix, std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
  while (text.ends_with(' ')) text.pop_back();
  return text.empty() ? "#\n" : fmt::format("#{}{}\n", prefix, text);
}

std::string text_output(const ShownIntent& shown, const policy::Policy& policy, const netrules::Ruleset& rules) {
  std::string out = comment(" ", fmt::format("gateway --dry-run, topology {}: installed in one transaction when the "
                                             "gateway is ready.",
                                             to_string(shown.intent.topology)));
  out += comment(" ", "Before that, and after it stops, everything is blocked. Nothing was changed now.");
  for (const std::string& note : shown.notes) out += comment(" ", note);
  out += "#\n# The policy:\n";
  const std::string described = policy.describe();
  for (const auto line : base::lines_of(described)) out += comment("   ", std::string(line));
  for (std::string& warning : policy.warnings()) out += comment("   warning: ", std::move(warning));
  return out + "\n" + netrules::to_text(rules);
}

std::string json_output(const ShownIntent& shown, const policy::Policy& policy, const netrules::Ruleset& rules) {
  auto object = nlohmann::ordered_json::parse(netrules::to_json(rules));
  object["soleroute"] = {{"topology", to_string(shown.intent.topology)},
                         {"notes", shown.notes},
                         {"policy", base::lines_of(policy.describe())},
                         {"warnings", policy.warnings()}};
  return object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

ShownIntent shown_intent(netrules::Intent intent, const serve::ServeOptions& options,
                         const base::Result<netrules::Features>& features) {
  ShownIntent shown{std::move(intent), {}};
  if (!options.program_rules) {
    shown.notes.emplace_back("--no-rules: traffic is not restricted unless you install these rules.");
  }
  show_ports(shown);
  show_interface(shown, options);
  show_gateway(shown, options);
  show_queue(shown, features);
  note_resolvers(shown, options);
  if (options.upstream_proxy) shown.notes.push_back("Upstream proxy: " + serve::describe(*options.upstream_proxy));
  return shown;
}

base::Result<std::string> dry_run_output(const ShownIntent& shown, const policy::Policy& policy, DryRunFormat format) {
  SR_LET(rules, netrules::open_rules(shown.intent));
  return format == DryRunFormat::kJson ? json_output(shown, policy, *rules) : text_output(shown, policy, *rules);
}

int dry_run(const serve::ServeOptions& options, DryRunFormat format) {
  const auto policy = serve::load_serving_policy(options);
  if (!policy) return report(policy.error());
  auto intent = serve::intent_of(options, **policy);
  if (options.topology != Topology::kGuard) {
    intent.denied_networks = serve::serving_networks(options, **policy, options.resolvers).list();
  }
  const ShownIntent shown = shown_intent(std::move(intent), options, netrules::probe_in_scratch_namespace());
  const auto output = dry_run_output(shown, **policy, format);
  if (!output) return report(output.error());
  const bool written =
      std::fwrite(output->data(), 1, output->size(), stdout) == output->size() && std::fflush(stdout) == 0;
  return written ? kExitDone : report(base::errno_error("cannot write the rules").error());
}

}  // namespace soleroute::gateway::commands
