// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "gateway/host/lost_network.h"
#include "gateway/host/netns_processes.h"
#include "gateway/host/policy_files.h"
#include "gateway/host/policy_mounts.h"
#include "gateway/host/watch.h"
#include "gateway/netlink/links.h"
#include "gateway/serve/control_socket.h"
#include "gateway/serve/log_state.h"
#include "gateway/serve/rule_intent.h"
#include "gateway/serve/rule_reconciler.h"
#include "gateway/serve/served_files.h"
#include "gateway/serve/signals.h"
#include "netrules/kernel.h"

namespace soleroute::gateway::serve {
namespace {

namespace asio = boost::asio;

constexpr auto kEnginesRules =
    "this program does not restore Docker's rules for its resolver (127.0.0.11). If names no longer resolve: docker "
    "compose restart agent-net (the other containers follow)";
constexpr std::size_t kMaxWarnings = 100;  // told apart; after that nothing new is said

// The interface on whose subnet the gateway is.
base::Result<int> interface_towards(const base::IpAddress& gateway) {
  SR_LET(interfaces, netlink::list_interfaces());
  for (const auto& interface : *interfaces) {
    const bool near = !interface.loopback && std::ranges::any_of(interface.addresses, [&](const auto& own) {
      return own.subnet().contains(gateway);
    });
    if (near) return interface.index;
  }
  return base::system_error(fmt::format(
      "no interface has an address in the subnet of {}; attach the container to the agents' network. If the project's "
      "network changed, the engine still has the old one: docker compose down, then docker compose up -d",
      gateway.to_string()));
}

base::Status set_route_to(const base::IpAddress& gateway) {
  SR_LET(index, interface_towards(gateway));
  SR_LET(routes, netlink::list_default_routes());
  for (const auto& route : *routes) {
    if (route.family != gateway.family() || route.via == gateway) continue;
    SR_TRY(netlink::remove_default_route(route));
  }
  return netlink::add_default_route({gateway.family(), gateway, *index, 0});
}

// What stands against "every packet meets the gateway", besides the rules.
std::vector<std::string> route_problems(const std::vector<base::IpAddress>& gateways) {
  std::vector<std::string> found;
  const auto routes = netlink::list_default_routes();
  if (!routes) return {routes.error().message};
  for (const auto& gateway : gateways) {
    const bool there =
        std::ranges::any_of(*routes, [&](const netlink::DefaultRoute& route) { return route.via == gateway; });
    if (there) continue;
    found.push_back(fmt::format(
        "no default route through {}: all traffic is refused. Set aux_addresses DefaultGatewayIPv4 on the network, "
        "or pass --set-route",
        gateway.to_string()));
  }
  return found;
}

class Guard {
 public:
  Guard(const GuardOptions& options, audit::DecisionLog& log, const audit::Counters& counters)
      : options_(options), log_(log), counters_(counters), rules_(netrules::make_kernel(), log, true) {}

  base::Status run() {
    SR_TRY(check_alone(options_.control_socket));
    SR_LET(layers, files_.read(ServedFiles::Why::kStart));
    SR_LET(policy, policy::Policy::compile(*layers));
    layers_ = std::move(*layers);
    policy_ = std::move(*policy);
    std::ignore = files_.accepted();
    SR_TRY(rules_.probe());
    signals_.obey();
    if (auto opened = open(); !opened) {
      log_.error(opened.error().message);
      rules_.log_what_stays();
      return opened;
    }
    loop_.run();
    return ended_;
  }

 private:
  base::Status open() {
    log_.lifecycle("starting", "locking this network namespace");
    SR_TRY(rules_.program(netrules::closed_rules(intent()), "closed"));
    auto control = ControlSocket::open(
        loop_, options_.control_socket,
        [this](const ControlQuestion& question, const ControlSocket::Reply& reply) { reply(answer(question.ask)); });
    if (!control) return std::unexpected(control.error());
    control_ = std::move(*control);
    for (const auto& gateway : options_.gateways) {
      if (!options_.set_route) break;
      SR_TRY(set_route_to(gateway));
      log_.lifecycle("route", "default route set to " + gateway.to_string());
    }
    SR_TRY(rules_.program(netrules::open_rules(intent()), "open"));
    SR_TRY(rules_.verify());
    look();
    log_.lifecycle(health_, fmt::format("this network can only reach the gateway {}", names()));
    if (auto watching = watch_.start(netlink::Changes::About::kEverything); !watching) {
      log_.error(
          fmt::format("{}; changes are noticed every {} ms", watching.error().message, host::Watch::kPeriod.count()));
    }
    if (options_.reload_on_change) files_.follow();
    return {};
  }

  std::string names() const {
    std::string all;
    for (const auto& gateway : options_.gateways) all += (all.empty() ? "" : ", ") + gateway.to_string();
    return all;
  }

  netrules::Intent intent() const { return guard_intent(options_, *policy_); }

  // Each thing once: it is said again only if it went away and came back.
  void look() {
    presence_ = network_.look();
    const bool connected = presence_ == host::NetworkPresence::kPresent;
    auto seen = connected ? route_problems(options_.gateways) : std::vector<std::string>{host::kNetworkLost};
    routed_ = connected && seen.empty();
    for (auto& line : host::describe_netns_processes()) seen.push_back(std::move(line));
    if (seen.size() > kMaxWarnings) seen.resize(kMaxWarnings);
    std::set<std::string> now(seen.begin(), seen.end());
    for (const auto& line : now) {
      if (!warned_.contains(line)) log_.error(line);
    }
    warned_ = std::move(now);
    looked_ = std::chrono::steady_clock::now();
    restore_rules();
  }

  void restore_rules() {
    const bool stand = rules_.restore();
    if (!rules_.last_differences().empty()) log_.error(kEnginesRules);
    health_ = stand && routed_ ? "healthy" : "degraded";
  }

  // At once where the kernel told of something; the rest at its pace, two looks of which count as one late one.
  void wake() {
    log_warning_.look();
    if (std::chrono::steady_clock::now() - looked_ < host::Watch::kPeriod) return restore_rules();
    look();
    if (presence_ == host::NetworkPresence::kReplaced) end_with(host::kNetworkReplaced);
  }

  base::Status put_in_force(const base::Result<ServedFiles::Layers>& layers) {
    if (!layers) return std::unexpected(layers.error());
    SR_LET(fresh, policy::Policy::compile(*layers));
    SR_TRY(rules_.program(netrules::open_rules(guard_intent(options_, **fresh)), "open"));
    policy_ = std::move(*fresh);
    layers_ = *layers;
    return {};
  }

  base::Result<PolicyInForce> reload(const base::Result<ServedFiles::Layers>& layers) {
    if (auto status = put_in_force(layers); !status) {
      files_.refused();
      log_.reload(false, status.error().message + kNotReloaded);
      return std::unexpected(std::move(status.error()));
    }
    PolicyInForce in_force{++version_, summary()};
    in_force.mount_fault = files_.accepted();
    log_.reload(true, reload_detail(in_force));
    return in_force;
  }

  std::string summary() const {
    const auto files = fmt::format("{}", fmt::join(options_.policy_files, ", "));
    return fmt::format("{}: {} endpoints", files.empty() ? "no policy" : files, policy_->endpoints().size());
  }

  std::string answer(const std::string& ask) {
    if (ask == "status") {
      restore_rules();
      return status();
    }
    if (ask == "reload") return reload_answer(reload(files_.read(ServedFiles::Why::kRequest)));
    return {};
  }

  void end_with(const char* reason) {
    log_.error(reason);
    ended_ = base::system_error(reason);
    stop();
  }

  void stop() {
    health_ = "stopping";
    log_.lifecycle("stopping", "blocking all network access");
    watch_.cancel();
    files_.stop_following();
    const auto closed = rules_.program(netrules::closed_rules(intent()), "closed");
    if (!closed) log_.error("cannot install the deny-all rules; the open rules stay: " + closed.error().message);
    rules_.log_what_stays();
    control_.reset();
    loop_.stop();
  }

  std::string status() {
    const auto up = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_);
    return nlohmann::json{
        {"health", health_},
        {"version", options_.version},
        {"uptime_s", up.count()},
        {"topology", netrules::to_string(netrules::Topology::kGuard)},
        {"warnings", host::with_mount_warning({warned_.begin(), warned_.end()}, options_.policy_files)},
        {"log", {{"written", log_fault(counters_).empty()}, {"detail", log_fault(counters_)}}},
        {"counters", {{"log_records_dropped", counters_.log_records_dropped.load()}}},
        {"rules", {{"intended", rules_.intended()}, {"differences", rules_.last_differences()}}}}
        .dump();
  }

  const GuardOptions& options_;
  audit::DecisionLog& log_;
  const audit::Counters& counters_;
  LogWarning log_warning_{counters_};
  asio::io_context loop_;
  RuleReconciler rules_;
  Signals signals_{loop_, [this] { std::ignore = reload(files_.read(ServedFiles::Why::kRequest)); },
                   [this] { stop(); }};
  host::Watch watch_{loop_, [this] { wake(); }};
  std::shared_ptr<const policy::Policy> policy_;
  ServedFiles::Layers layers_;  // of policy_
  ServedFiles files_{loop_,
                     log_,
                     options_.policy_files,
                     {[this] { return host::read_settled_policy_files(options_.policy_files); },
                      [this]() -> const ServedFiles::Layers& { return layers_; },
                      [this](const base::Result<ServedFiles::Layers>& layers) { std::ignore = reload(layers); }}};
  std::uint64_t version_ = 1;
  std::set<std::string> warned_;
  host::NetworkWatch network_;
  bool routed_ = false;
  std::chrono::steady_clock::time_point looked_;
  host::NetworkPresence presence_ = host::NetworkPresence::kPresent;
  base::Status ended_;  // why, unless it was told to
  std::string health_ = "starting";
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::unique_ptr<ControlSocket> control_;
};

}  // namespace

netrules::Intent guard_intent(const GuardOptions& options, const policy::Policy& policy) {
  ServeOptions serving;
  serving.topology = netrules::Topology::kGuard;
  serving.explicit_proxy_port = options.explicit_proxy_port;
  netrules::Intent intent = intent_of(serving, policy);
  intent.gateway_addresses = options.gateways;
  intent.published_ports = options.published_ports;
  intent.packet_queue.reset();  // nobody in here reads it: the gateway logs what reaches it
  return intent;
}

base::Status guard(const GuardOptions& options, audit::DecisionLog& log, const audit::Counters& counters) {
  Guard guarding(options, log, counters);
  return guarding.run();
}

}  // namespace soleroute::gateway::serve
