// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/supervisor.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "gateway/audit/metrics.h"
#include "gateway/inspect/ca_directory.h"
#include "gateway/inspect/certificate_facts.h"
#include "gateway/net/listen.h"
#include "gateway/queue/packet_log.h"
#include "gateway/serve/control_socket.h"
#include "gateway/serve/inspection.h"
#include "gateway/serve/metrics_server.h"
#include "gateway/serve/network.h"
#include "gateway/serve/rules_keeper.h"
#include "gateway/serve/runtime.h"
#include "gateway/serve/self_check.h"
#include "gateway/serve/serving_policy.h"
#include "gateway/serve/signals.h"
#include "gateway/serve/system_resolvers.h"
#include "netrules/kernel.h"
#include "netrules/plan.h"

namespace soleroute::gateway::serve {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kStopGrace = 3000ms;
constexpr auto kRulesWatch = 2000ms;  // how soon rules that somebody removed are put back
constexpr std::uint32_t kGatewayMark =
    0x534f4c45;  // "SOLE": what marks the gateway's own packets in a shared namespace
constexpr int kMaxWorkers = 16;

std::string policy_summary(const ServeOptions& options, const policy::Policy& policy) {
  const auto files = serving_policy_files(options);
  if (policy.denies_everything()) {
    return files.empty() ? "no policy: everything is denied" : "the policy is empty: everything is denied";
  }
  return fmt::format(
      "{} host entries from {}{}", policy.host_count(),
      files.empty() ? options.base_service : fmt::format("{}", fmt::join(files, ", ")),
      policy.mode() == policy::Mode::kObserve ? "; mode observe: NOTHING THAT IS PUBLIC IS DENIED, only logged" : "");
}

class Supervisor {
 public:
  Supervisor(const ServeOptions& options, audit::DecisionLog& log)
      : options_(options), log_(log), rules_(netrules::make_kernel(), log, options.program_rules), watch_(loop_) {}

  base::Status run() {
    if (auto prepared = prepare(); !prepared) return prepared;
    signals_.obey();
    if (auto opened = open(); !opened) {
      log_.error(opened.error().message);
      return opened;
    }
    loop_.run();
    return {};
  }

 private:
  // A policy whose secrets cannot be read is no policy.
  [[nodiscard]] base::Result<std::shared_ptr<const policy::Policy>> load() const {
    auto policy = load_serving_policy(options_);
    if (!policy) return policy;
    const secrets::SecretStore secrets(options_.secrets_directory);
    if (auto readable = secrets.check(**policy); !readable) return std::unexpected(readable.error());
    return policy;
  }

  // A core file would hold what was read of secrets.
  void leave_no_core() const {
    if (!policy_->secrets().empty()) ::prctl(PR_SET_DUMPABLE, 0);
  }

  // Steps 1 and 2: nothing has been touched when this fails.
  base::Status prepare() {
    auto policy = load();
    if (!policy) return std::unexpected(policy.error());
    policy_ = std::move(*policy);
    leave_no_core();
    auto resolvers =
        options_.resolvers.empty() ? system_resolvers() : base::Result<std::vector<base::Endpoint>>(options_.resolvers);
    if (!resolvers) return std::unexpected(resolvers.error());
    resolvers_ = std::move(*resolvers);
    auto roots = read_roots(options_.trust_files);
    if (!roots) return std::unexpected(roots.error());
    origin_roots_ = std::move(*roots);
    auto interfaces = netrules::list_interfaces();
    if (!interfaces) return std::unexpected(interfaces.error());
    interfaces_ = std::move(*interfaces);
    if (options_.topology == netrules::Topology::kRouter && !options_.proxy_only) {
      auto inside = find_inside(interfaces_, options_.inside_interface, options_.claim);
      if (!inside) return std::unexpected(inside.error());
      inside_ = std::move(*inside);
    }
    return rules_.probe();
  }

  // Steps 3 to 5. On failure the closed rules stay.
  base::Status open() {
    log_.lifecycle("starting", policy_summary(options_, *policy_));
    say_what_is_not_carried();
    if (options_.proxy_only) {
      log_.lifecycle("no_rules", "an explicit proxy and no more: whoever runs the agents closes their other ways out");
    } else if (!options_.program_rules) {
      log_.lifecycle("no_rules", "somebody else programs them: nothing here keeps agents in");
    }
    if (auto closed = rules_.program(netrules::closed_rules(intent()), "closed"); !closed) return closed;
    if (options_.program_rules && options_.topology == netrules::Topology::kRouter) {
      const RefusedSettings refused = set_sysctls(inside_.name);
      for (const auto& problem : refused.forwarding) log_.error(problem);
      if (refused.others > 0) {
        log_.lifecycle("settings", fmt::format("{} network settings of the kernel stay as the engine made them "
                                               "(/proc/sys is read-only here); the rules do not depend on them",
                                               refused.others));
      }
    }
    if (auto trusted = open_ca(); !trusted) return trusted;
    if (auto started = start_runtime(); !started) return started;
    auto control =
        ControlSocket::open(loop_, options_.control_socket, [this](const std::string& ask) { return answer(ask); });
    if (!control && !control_may_be_missing()) return std::unexpected(control.error());
    if (!control) log_.error("'gateway status' and 'gateway reload' will find nobody: " + control.error().message);
    if (control) control_ = std::move(*control);
    if (auto metrics = open_metrics(); !metrics) return metrics;
    if (auto opened = rules_.program(netrules::open_rules(intent()), "open"); !opened) return opened;
    if (auto claimed = claim(); !claimed) return claimed;
    if (auto checked = check_self(); !checked) return checked;
    health_ = "healthy";
    watch_rules();
    log_.lifecycle("healthy", healthy_where());
    return {};
  }

  // Always, whatever the policy is now: refusals over TLS are told on a leaf, and a reload may ask for inspection.
  base::Status open_ca() {
    const auto directory = options_.ca_directory.empty() ? inspect::default_ca_directory() : options_.ca_directory;
    if (!directory) return std::unexpected(directory.error());
    auto loaded = inspect::load_or_create_ca(*directory, std::chrono::system_clock::now());
    if (!loaded) return std::unexpected(loaded.error());
    // Its key must not come out in a core dump.
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return base::errno_error("cannot forbid core dumps");
    const auto facts = inspect::describe(loaded->authority.certificate());
    log_.lifecycle("ca", fmt::format("{} in {}, SHA-256 {}, valid until {}",
                                     loaded->created ? "a new one, made" : "the one that is", *directory,
                                     facts.fingerprint, facts.valid_until));
    if (!options_.ca_out.empty()) {
      auto exported = inspect::export_certificate(loaded->authority, *directory, options_.ca_out);
      if (!exported) return exported;
    }
    auto inspection = make_inspection(std::move(loaded->authority), origin_roots_);
    if (!inspection) return std::unexpected(inspection.error());
    inspection_ = std::move(*inspection);
    return {};
  }

  void say_what_is_not_carried() {
    for (const auto& endpoint : policy_->endpoints()) {
      if (endpoint.transport != policy::Transport::kUdp) continue;
      log_.error(fmt::format("{}:{}: endpoints with `protocol: udp` are not carried yet: they stay refused",
                             endpoint.line.file, endpoint.line.line));
    }
  }

  base::Status start_runtime() {
    net::ListenRequest request;
    request.address = base::IpAddress::v6({});
    request.ports = {options_.listen_port, 0, options_.explicit_proxy_port};
    request.explicit_proxy = options_.explicit_proxy_port != 0;
    request.workers = workers();
    if (options_.proxy_only) request.captured_at = base::IpAddress::v4({127, 0, 0, 1});
    auto listeners = net::open_listeners(request);
    if (!listeners) return std::unexpected(listeners.error());
    ports_ = listeners->ports;
    base::Fd queue;
    if (options_.program_rules && (rules_.features().native_queue || rules_.features().compat_queue)) {
      auto opened = queue::open_packet_queue(queue::kPacketQueue);
      if (opened) queue = std::move(*opened);
      if (!opened) log_.error("refused packets are not logged: " + opened.error().message);
    }
    queue_open_ = static_cast<bool>(queue);
    RuntimeOptions runtime;
    runtime.resolvers = resolvers_;
    runtime.secrets_directory = options_.secrets_directory;
    runtime.own_addresses = own_addresses();
    runtime.local_addresses = all_addresses(interfaces_);
    for (const auto& claimed : options_.claim) runtime.local_addresses.push_back(claimed.address);
    runtime.upstream_mark = mark();
    runtime.inspection = inspection_;
    auto started =
        Runtime::start(std::move(runtime), std::move(*listeners), std::move(queue), policy_, log_, counters_);
    if (!started) return std::unexpected(started.error());
    runtime_ = std::move(*started);
    return {};
  }

  base::Status open_metrics() {
    if (!options_.metrics) return {};
    auto metrics = MetricsServer::open(loop_, *options_.metrics, counters_);
    if (!metrics) return std::unexpected(metrics.error());
    metrics_ = std::move(*metrics);
    return {};
  }

  base::Status claim() {
    if (options_.topology != netrules::Topology::kRouter || options_.proxy_only) return {};
    if (auto claimed = claim_addresses(inside_, options_.claim); !claimed) return claimed;
    for (const auto& done : mend_default_route(interfaces_, options_.claim, inside_)) log_.lifecycle("route", done);
    return {};
  }

  base::Status check_self() {
    if (auto verified = rules_.verify(); !verified) return verified;
    return self_check(ports_, mark(), [this](std::uint16_t port) { runtime_->announce_self_check(port); });
  }

  netrules::Intent intent() const {
    netrules::Intent intent = intent_of(options_, *policy_);
    intent.inside_interface = inside_.name;
    intent.redirect_port = ports_.redirected;
    intent.dns_port = ports_.dns;
    intent.explicit_proxy_port = ports_.explicit_proxy;
    intent.native_queue = rules_.features().native_queue;
    if (!queue_open_) intent.packet_queue.reset();
    return intent;
  }

  // Rules that somebody else removed or changed are put back; until then the kernel may route, so it is said loudly.
  void watch_rules() {
    watch_.expires_after(kRulesWatch);
    watch_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      health_ = rules_.restore() ? "healthy" : "degraded";
      watch_rules();
    });
  }

  // The new policy stands beside the old one until its rules are in the kernel.
  base::Result<PolicyInForce> reload() {
    auto fresh = load();
    auto previous = policy_;
    base::Status status = fresh ? base::Status{} : std::unexpected(fresh.error());
    if (status) {
      policy_ = *fresh;
      status = rules_.program(netrules::open_rules(intent()), "open");
    }
    if (!status) {
      policy_ = previous;
      ++counters_.reloads_refused;
      counters_.policy_stale = true;
      log_.reload(false, status.error().message);
      return std::unexpected(std::move(status.error()));
    }
    leave_no_core();
    runtime_->reload(policy_);
    ++counters_.reloads_accepted;
    counters_.policy_stale = false;
    PolicyInForce in_force{version(), policy_summary(options_, *policy_)};
    log_.reload(true, in_force.summary);
    say_what_is_not_carried();
    return in_force;
  }

  std::uint64_t version() const { return 1 + counters_.reloads_accepted.load(); }

  std::string answer(const std::string& ask) {
    if (ask == "status") return status();
    if (ask == "reload") return reload_answer(reload());
    return {};
  }

  void stop() {
    health_ = "stopping";
    log_.lifecycle("stopping", fmt::format("connections have {} to finish", "3 s"));
    watch_.cancel();
    runtime_->stop(kStopGrace);
    const auto closed = rules_.program(netrules::closed_rules(intent()), "closed");
    if (!closed) log_.error("the open rules stay, and nothing answers behind them: " + closed.error().message);
    control_.reset();
    metrics_.reset();
    loop_.stop();
  }

  std::string status() {
    nlohmann::json counters = nlohmann::json::object();
    for (const auto& field : audit::counter_fields())
      counters[std::string(field.name)] = (counters_.*field.member).load();
    const auto up = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_);
    const nlohmann::json answer{
        {"health", health_},
        {"version", SOLEROUTE_VERSION},
        {"uptime_s", up.count()},
        {"topology", topology_name()},
        {"inside", inside_.name},
        {"policy",
         {{"files", serving_policy_files(options_)},
          {"hosts", policy_->host_count()},
          {"version", version()},
          {"stale", counters_.policy_stale.load()}}},
        {"rules", {{"intended", rules_.intended()}, {"differences", rules_.last_differences()}}},
        {"counters", std::move(counters)}};
    return answer.dump();
  }

  // Where a denied name leads. Never loopback: in a shared namespace that is the agent's own.
  std::vector<base::IpAddress> own_addresses() const {
    std::vector<base::IpAddress> own;
    for (const auto& claimed : options_.claim) own.push_back(claimed.address);
    if (!own.empty()) return own;
    const bool router = options_.topology == netrules::Topology::kRouter && !options_.proxy_only;
    for (const auto& interface : interfaces_) {
      if (interface.loopback || (router && interface.index != inside_.index)) continue;
      std::ranges::transform(interface.addresses, std::back_inserter(own), &base::InterfaceAddress::address);
    }
    std::erase_if(own, [](const base::IpAddress& address) {
      return address.is_v6() && address.bytes()[0] == 0xfe;  // link-local
    });
    return own;
  }

  std::uint32_t mark() const { return options_.topology == netrules::Topology::kSidecar ? kGatewayMark : 0; }

  int workers() const {
    const int wanted = options_.workers > 0 ? options_.workers : static_cast<int>(std::thread::hardware_concurrency());
    return std::clamp(wanted, 1, kMaxWorkers);
  }

  const char* topology_name() const {
    if (options_.proxy_only) return "proxy";
    return options_.topology == netrules::Topology::kSidecar ? "sidecar" : "router";
  }
  std::string healthy_where() const {
    if (options_.proxy_only) return fmt::format("proxy on port {}", ports_.explicit_proxy);
    return fmt::format("{} on {}", topology_name(), inside_.name.empty() ? "lo" : inside_.name);
  }
  // A proxy in a container that was made for another one may have no such folder, or not be allowed to write there.
  bool control_may_be_missing() const {
    return options_.proxy_only && options_.control_socket == kDefaultControlSocket;
  }

  const ServeOptions& options_;
  audit::DecisionLog& log_;
  audit::Counters counters_;
  asio::io_context loop_;
  RulesKeeper rules_;
  Signals signals_{loop_, [this] { std::ignore = reload(); }, [this] { stop(); }};
  asio::steady_timer watch_;
  std::shared_ptr<const policy::Policy> policy_;
  std::vector<base::Endpoint> resolvers_;
  std::string origin_roots_;
  std::shared_ptr<const inspect::Inspection> inspection_;
  std::vector<netrules::Interface> interfaces_;
  netrules::Interface inside_;
  net::ListenPorts ports_;
  bool queue_open_ = false;
  std::string health_ = "starting";
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<ControlSocket> control_;
  std::unique_ptr<MetricsServer> metrics_;
};

netrules::EndpointRule rule_of(const policy::EndpointView& endpoint) {
  netrules::EndpointRule rule;
  rule.transport = endpoint.transport == policy::Transport::kUdp ? netrules::EndpointRule::Transport::kUdp
                                                                 : netrules::EndpointRule::Transport::kTcp;
  if (endpoint.host.empty()) rule.cidr = endpoint.cidr;
  rule.ports.assign(endpoint.ports.begin(), endpoint.ports.end());
  rule.comment = policy::place_of(endpoint.line);
  return rule;
}

}  // namespace

netrules::Intent intent_of(const ServeOptions& options, const policy::Policy& policy) {
  netrules::Intent intent;
  intent.topology = options.topology;
  intent.inside_interface = options.inside_interface;
  intent.redirect_port = options.listen_port;
  intent.explicit_proxy_port = options.explicit_proxy_port;
  intent.gateway_mark = options.topology == netrules::Topology::kSidecar ? kGatewayMark : 0;
  const bool shared = options.topology == netrules::Topology::kSidecar;
  if (shared && options.metrics) intent.metrics_port = options.metrics->port;
  intent.packet_queue = queue::kPacketQueue;
  for (const auto& endpoint : policy.endpoints()) intent.endpoints.push_back(rule_of(endpoint));
  intent.capture_all_tcp = policy.mode() == policy::Mode::kObserve;
  return intent;
}

base::Status serve(const ServeOptions& options, audit::DecisionLog& log) {
  Supervisor supervisor(options, log);
  return supervisor.run();
}

}  // namespace soleroute::gateway::serve
