// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/read_file.h"
#include "gateway/commands/command.h"
#include "gateway/commands/doctor_proxy.h"
#include "gateway/commands/doctor_report.h"
#include "gateway/commands/probe_socket.h"
#include "gateway/commands/upstream_options.h"
#include "gateway/dns/exchange.h"
#include "gateway/dns/upstreams.h"
#include "gateway/host/capabilities.h"
#include "gateway/host/netns_processes.h"
#include "gateway/host/rule_watchers.h"
#include "gateway/host/system_resolvers.h"
#include "gateway/netlink/address_probe.h"
#include "gateway/serve/control_socket.h"
#include "gateway/serve/resolvers.h"
#include "netrules/plan.h"
#include "policy/address_class.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::chrono::milliseconds kEngineTimeout{3000};
constexpr std::chrono::milliseconds kResolverTimeout{300};
constexpr std::chrono::milliseconds kExamineTimeout{1500};
constexpr std::size_t kMaxProcFile = 8192;

struct DoctorOptions {
  std::string place;
  std::string engine = "/var/run/docker.sock";
  std::vector<std::string> claim;
  std::vector<std::string> resolvers;
  std::string format = "text";
  UpstreamArguments upstream{};
};

base::Result<Place> place_of(const DoctorOptions& options, const DoctorFacts& facts) {
  if (options.place.empty() && facts.jail) return Place::kAgent;
  if (options.place == "machine") return Place::kMachine;
  if (options.place == "gateway") return Place::kGateway;
  if (options.place == "guard") return Place::kGuard;
  if (options.place == "agent") return Place::kAgent;
  if (!options.place.empty()) return base::usage_error("--in: one of machine, gateway, guard, agent");
  if (!options.claim.empty()) return Place::kGateway;
  if (std::getenv("GATEWAY_GUARD_GATEWAY") != nullptr) return Place::kGuard;
  return is_container(read_container_marks()) ? Place::kAgent : Place::kMachine;
}

// GET over HTTP/1.0, so that the answer ends with the connection.
base::Result<std::vector<EngineNetwork>> engine_networks(const std::string& path) {
  SR_LET(socket, ProbeSocket::connect_unix(path, kEngineTimeout));
  SR_TRY(socket->send("GET /networks HTTP/1.0\r\nHost: engine\r\n\r\n"));
  const auto answer = socket->receive_until([](const std::string&) { return false; });
  if (!answer) return std::unexpected(answer.error());
  const auto body = answer->find("\r\n\r\n");
  if (!answer->starts_with("HTTP/1.") || body == std::string::npos) {
    return base::system_error(path + " does not speak HTTP; it is not the socket of a container engine");
  }
  return parse_networks(std::string_view(*answer).substr(body + 4));
}

// On a network of this interface, and not this machine's own.
bool is_claimed_on(const netlink::Interface& interface, const base::IpAddress& wanted) {
  const auto near = [&](const base::InterfaceAddress& own) { return own.subnet().contains(wanted); };
  const auto ours = [&](const base::InterfaceAddress& own) { return own.address == wanted; };
  if (interface.loopback || std::ranges::none_of(interface.addresses, near)) return false;
  if (std::ranges::any_of(interface.addresses, ours)) return false;
  return netlink::address_in_use(interface.index, wanted).value_or(false);
}

std::vector<base::IpAddress> claimed_elsewhere(const std::vector<netlink::Interface>& interfaces,
                                               const std::vector<base::InterfaceAddress>& claim) {
  std::vector<base::IpAddress> taken;
  for (const auto& wanted : claim) {
    for (const auto& interface : interfaces) {
      if (is_claimed_on(interface, wanted.address)) taken.push_back(wanted.address);
    }
  }
  return taken;
}

// The kernel says at once where nobody listens; a resolver that is there need not answer what this is.
std::vector<base::Endpoint> refusing_resolvers() {
  std::vector<base::Endpoint> refusing;
  const auto resolvers = host::system_resolvers();
  if (!resolvers) return refusing;
  for (const auto& resolver : *resolvers) {
    const auto socket = ProbeSocket::connect(ProbeKind::kUdp, resolver, kResolverTimeout);
    if (!socket || !socket->send("gateway doctor")) continue;
    const auto answer = socket->receive();
    if (!answer && answer.error().sys_errno == ECONNREFUSED) refusing.push_back(resolver);
  }
  return refusing;
}

// The range of placeholders that the server's answer is of, if it is of one.
boost::asio::awaitable<std::optional<base::Cidr>> placeholders_of(boost::asio::io_context& io,
                                                                  dns::ExchangeRequest request,
                                                                  std::shared_ptr<dns::UpstreamTraits> traits) {
  const auto response = co_await dns::exchange(io, std::move(request), std::move(traits));
  if (!response) co_return std::nullopt;
  const auto answer = sniffer::answer_of(*response);
  if (!answer.complete() || answer.value().addresses.empty()) co_return std::nullopt;
  co_return policy::placeholder_range(answer.value().addresses.front());
}

// As the gateway asks, for a name that every resolver knows or denies. All at once.
base::Status examine_resolvers(const DoctorOptions& options, DoctorFacts& facts) {
  std::vector<dns::Upstream> given;
  for (const std::string& text : options.resolvers) {
    SR_LET(upstream, dns::Upstream::parse(text));
    given.push_back(std::move(*upstream));
  }
  const auto upstreams = serve::resolvers_of(std::move(given));
  if (!upstreams) return {};
  const auto traits = std::make_shared<dns::UpstreamTraits>();
  boost::asio::io_context io(1);
  for (const auto& upstream : *upstreams) {
    if (upstream.tls) continue;
    const auto name = upstream.suffix ? *upstream.suffix : *base::HostName::parse("example.com");
    dns::ExchangeRequest request{.server = upstream.server, .name = name, .timeout = kExamineTimeout};
    auto looking = placeholders_of(io, request, traits);
    auto examining = dns::examine(io, std::move(request), traits);
    const auto shown = upstream.to_string();
    const auto found = [&facts, shown](const std::exception_ptr&, std::optional<base::Cidr> range) {
      if (range) facts.placeholders.push_back({shown, *range});
    };
    boost::asio::co_spawn(io, std::move(looking), found);
    boost::asio::co_spawn(io, std::move(examining), [&facts, shown](const std::exception_ptr&, bool answered) {
      (answered ? facts.answering_resolvers : facts.silent_resolvers).push_back(shown);
    });
  }
  io.run();
  facts.resolver_faults = traits->faults();
  return {};
}

bool are_rules_left_over() {
  const bool served = !serve::check_alone(serve::kDefaultControlSocket) || host::rules_are_watched();
  return !served && netrules::make_kernel()->exists(netrules::Intent{}.table).value_or(false);
}

base::Result<DoctorFacts> gather(const DoctorOptions& options) {
  DoctorFacts facts;
  if (auto interfaces = netlink::list_interfaces()) facts.interfaces = std::move(*interfaces);
  const auto routes = netlink::list_default_routes();
  facts.jail = routes && is_jail(facts.interfaces, *routes);
  SR_LET(place, place_of(options, facts));
  facts.place = *place;
  for (const std::string& text : options.claim) {
    SR_LET(address, parse_claim(text));
    facts.claim.push_back(*address);
  }
  SR_TRY(host::raise_permitted_capabilities());
  const std::string status = base::read_file("/proc/self/status", kMaxProcFile).value_or("");
  facts.powers = host::network_powers(status);
  facts.effective_powers = host::effective_powers(status);
  const auto scratch = netrules::probe_in_scratch_namespace();
  facts.user_namespaces = scratch.has_value();
  facts.kernel = facts.effective_powers.admin ? netrules::make_kernel()->probe() : scratch;
  facts.rules_left_over = facts.effective_powers.admin && are_rules_left_over();
  facts.netns_processes = host::describe_netns_processes();
  const std::string netfilter =
      base::read_file("/proc/sys/net/bridge/bridge-nf-call-iptables", kMaxProcFile).value_or("");
  if (!netfilter.empty()) facts.bridge_netfilter = netfilter.starts_with("1");
  if (facts.place == Place::kMachine) facts.networks = engine_networks(options.engine);
  if (facts.place == Place::kAgent) facts.refusing_resolvers = refusing_resolvers();
  if (facts.place == Place::kMachine || facts.place == Place::kGateway) SR_TRY(examine_resolvers(options, facts));
  facts.claimed_elsewhere = claimed_elsewhere(facts.interfaces, facts.claim);
  return facts;
}

// On the machine, where 'gateway run' would use the proxy. An agent's network does not reach it.
base::Result<std::vector<Finding>> of_upstream_proxy(const DoctorOptions& options, Place place) {
  std::vector<Finding> found;
  if (place == Place::kAgent || place == Place::kGuard) return found;
  FoundUpstream upstream;
  if (place == Place::kMachine) {
    SR_LET(named, find_upstream(options.upstream, 0));
    upstream = std::move(*named);
  } else {
    SR_LET(given, parse_upstream(options.upstream));
    upstream.proxy = std::move(*given);
  }
  if (upstream.proxy) {
    found.push_back(examine_upstream_proxy(std::move(*upstream.proxy), options.upstream.password_file));
  }
  return found;
}

int doctor(const DoctorOptions& options) {
  const auto facts = gather(options);
  if (!facts) return report(facts.error());
  std::vector<Finding> findings = diagnose(*facts);
  const auto proxy = of_upstream_proxy(options, facts->place);
  if (!proxy) return report(proxy.error());
  findings.insert(findings.end(), proxy->begin(), proxy->end());
  if (options.format == "json") {
    fmt::print("{}", to_json(findings));
  } else {
    for (const Finding& finding : findings) fmt::print("{}", paint_lines(to_text(finding), use_colour(STDOUT_FILENO)));
  }
  const bool well =
      std::ranges::none_of(findings, [](const Finding& finding) { return finding.level == Level::kProblem; });
  return well ? kExitDone : kExitNo;
}

}  // namespace

void add_doctor(CLI::App& program, Invocation& invocation) {
  const auto options = std::make_shared<DoctorOptions>();
  CLI::App& command = add_command(program, invocation, "doctor", "diagnose this machine or container and suggest fixes",
                                  "gateway doctor", [options] { return doctor(*options); });
  command.add_option("--in", options->place, "what to diagnose (default: detected)")
      ->type_name("machine|gateway|guard|agent");
  command.add_option("--engine", options->engine, "socket of the container engine")
      ->capture_default_str()
      ->type_name("SOCKET");
  add_list_option(command, "--claim", "GATEWAY_CLAIM", options->claim, "ADDR/PREFIX",
                  "check that this address is free for the gateway to claim");
  add_list_option(command, "--resolver", "GATEWAY_RESOLVER", options->resolvers, "[SUFFIX=]ADDR[:PORT]",
                  "check this upstream DNS server (default: from /etc/resolv.conf)");
  add_upstream_options(command, options->upstream, "HTTPS_PROXY on the machine");
  add_format_option(command, options->format);
}

}  // namespace soleroute::gateway::commands
