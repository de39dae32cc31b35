// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/supervisor.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>

#include "gateway/host/connection_table.h"
#include "gateway/host/host_address.h"
#include "gateway/host/network.h"
#include "gateway/host/network_keeper.h"
#include "gateway/host/origin_roots.h"
#include "gateway/host/policy_mounts.h"
#include "gateway/host/policy_write.h"
#include "gateway/host/system_resolvers.h"
#include "gateway/host/watch.h"
#include "gateway/inspect/inspection.h"
#include "gateway/net/listen.h"
#include "gateway/queue/packet_log.h"
#include "gateway/serve/control_socket.h"
#include "gateway/serve/denied_networks.h"
#include "gateway/serve/fresh_start.h"
#include "gateway/serve/host_services.h"
#include "gateway/serve/log_state.h"
#include "gateway/serve/metrics_server.h"
#include "gateway/serve/operator_link.h"
#include "gateway/serve/pulse.h"
#include "gateway/serve/reload_watch.h"
#include "gateway/serve/resolvers.h"
#include "gateway/serve/rule_intent.h"
#include "gateway/serve/rule_reconciler.h"
#include "gateway/serve/run_time_policy.h"
#include "gateway/serve/self_check.h"
#include "gateway/serve/served_files.h"
#include "gateway/serve/serving_ca.h"
#include "gateway/serve/serving_policy.h"
#include "gateway/serve/serving_status.h"
#include "gateway/serve/serving_words.h"
#include "gateway/serve/signals.h"
#include "gateway/serve/upstream_route.h"
#include "gateway/serve/worker_watch.h"
#include "gateway/workers/runtime.h"
#include "netrules/kernel.h"

namespace soleroute::gateway::serve {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
constexpr auto kStopGrace = 3000ms;
constexpr auto kEndWatch = 5ms;
constexpr auto kLastWords = 100ms;  // for the log's own thread
// Tried first, so that after a restart what connection tracking remembers of clients still leads to the listeners; any
// free ones where they are taken. Below the ports that the kernel gives away.
constexpr net::ListenPorts kUsualPorts{.redirected = 29180, .dns = 29153, .explicit_proxy = 0, .udp = 29123};

class Supervisor {
 public:
  Supervisor(const ServeOptions& options, audit::DecisionLog& log, audit::Counters& counters)
      : options_(options),
        log_(log),
        counters_(counters),
        rules_(netrules::make_kernel(), log, options.program_rules),
        end_watch_(loop_) {}

  base::Status run() {
    SR_TRY(prepare());
    signals_.obey();
    if (auto opened = open(); !opened) {
      log_.error(opened.error().message);
      close_rules();
      return opened;
    }
    loop_.run();
    if (runtime_ != nullptr && !runtime_->ended()) leave_at_once();
    return {};
  }

 private:
  // A core file would hold what was read of secrets.
  void leave_no_core() const {
    if (secrets::sends_secrets(*policy_)) ::prctl(PR_SET_DUMPABLE, 0);
  }

  // Steps 1 and 2: nothing has been touched when this fails.
  base::Status prepare() {
    if (!control_may_be_missing()) SR_TRY(check_alone(options_.control_socket));
    SR_LET(laid, lay(files_.read(ServedFiles::Why::kStart)));
    policy_ = laid->policy;
    run_time_.use(std::move(*laid));
    std::ignore = files_.accepted();
    leave_no_core();
    SR_TRY(rules_.probe());
    SR_LET(resolvers, resolvers_of(options_.resolvers, options_.upstream_proxy.has_value()));
    resolvers_ = std::move(*resolvers);
    SR_LET(roots, host::read_roots(options_.trust_files));
    origin_roots_ = std::move(*roots);
    SR_LET(route, make_upstream_route(options_.upstream_proxy, options_.upstream_password_file, origin_roots_,
                                      trusted_hosts_file(options_)));
    route_ = std::move(*route);
    SR_LET(interfaces, netlink::list_interfaces());
    interfaces_ = std::move(*interfaces);
    host_ = find_host(options_);
    if (is_router()) {
      SR_LET(inside, host::find_inside(interfaces_, options_.inside_interface, options_.claim));
      inside_ = std::move(*inside);
    }
    return check_loopback(interfaces_);
  }

  // The files as they are now, below the entries that were added while this runs.
  base::Result<RunTimePolicy::Laid> lay(base::Result<ServedFiles::Layers> layers) const {
    if (!layers) return std::unexpected(std::move(layers.error()));
    SR_LET(laid, run_time_.lay_over(std::move(*layers), serving_policy_files(options_)));
    SR_TRY(check_servable(options_, *laid->policy));
    return laid;
  }

  // Steps 3 to 5. On failure the closed rules stay. The open rules stand as soon as the listeners do: what comes before
  // the workers have started waits in the kernel, some milliseconds, instead of being refused or lost.
  base::Status open() {
    log_.lifecycle("starting", policy_summary(options_, *policy_));
    if (route_) log_.lifecycle("upstream_proxy", describe(*route_->proxy));
    say_no_rules(options_, log_);
    SR_TRY(close_unless_held());
    SR_TRY(keep_network());
    SR_TRY(open_sockets());
    SR_TRY(check_host_services(*policy_, host_services()));
    if (lists_host_services(*policy_)) log_.lifecycle("host_services", describe_host(host_));
    choose_denied_networks();
    denied_->use(denied_networks_);
    SR_TRY(rules_.program(netrules::open_rules(intent()), "open"));
    forget_earlier_connections(options_, ports_, kUsualPorts, inside_, interfaces_, log_);
    // Always, whatever the policy is now: refusals over TLS are told on a leaf, and a reload may ask for inspection.
    SR_LET(inspection, open_ca(options_, origin_roots_, log_));
    inspection_ = std::move(*inspection);
    operator_.connect(loop_, run_time_);
    SR_TRY(start_runtime());
    auto control = ControlSocket::open(
        loop_, options_.control_socket,
        [this](const ControlQuestion& question, ControlSocket::Reply reply) { answer(question, std::move(reply)); },
        [this](audit::DecisionFeed::News news) { return operator_.watch(std::move(news)); });
    if (!control && !control_may_be_missing()) return std::unexpected(control.error());
    if (!control) log_.error(control.error().message + "; status and reload will not work");
    if (control) control_ = std::move(*control);
    SR_TRY(open_metrics());
    SR_TRY(claim());
    SR_TRY(check_self());
    if (!network_) ways_out_.remember();
    health_ = "healthy";
    const bool shared = gateway_mark(options_) != 0 && options_.program_rules;
    pulse_.emplace(ports_.dns, gateway_mark(options_),
                   shared ? Pulse::Asks::kThroughTheRedirectToo : Pulse::Asks::kDirectly);
    if (auto watching = watch_.start(netlink::Changes::About::kEverything); !watching) {
      log_.error(
          fmt::format("{}; changes are noticed every {} ms", watching.error().message, host::Watch::kPeriod.count()));
    }
    if (options_.reload_on_change) files_.follow();
    workers_watch_.start(*runtime_);
    log_.lifecycle("healthy", healthy_where(options_, inside_, ports_));
    return {};
  }

  // What a former gateway left in the kernel lets nothing pass either, and leads clients to where the listeners will
  // be.
  base::Status close_unless_held() {
    if (const auto held = rules_.has_rules(netrules::closed_rules(intent())); held && *held) return {};
    return rules_.program(netrules::closed_rules(intent()), "closed");
  }

  void close_rules() {
    if (rules_.intended() == "open") {
      const auto closed = rules_.program(netrules::closed_rules(intent()), "closed");
      if (!closed)
        log_.error("cannot install the deny-all rules; the open rules stay, and nothing serves them: " +
                   closed.error().message);
    }
    rules_.log_what_stays();
  }

  base::Status keep_network() {
    if (!is_router()) return {};
    network_.emplace(inside_, options_.claim, log_);
    return options_.program_rules ? network_->make_settings() : base::Status{};
  }
  bool is_router() const { return options_.topology == netrules::Topology::kRouter && !options_.proxy_only; }
  flow::HostServices host_services() const {
    return {host_.addresses, own_ports(options_, ports_, host_.addresses, host::all_addresses(interfaces_))};
  }

  base::Status open_sockets() {
    net::ListenRequest request;
    request.address = base::IpAddress::v6({});
    request.ports = {options_.listen_port, 0, options_.explicit_proxy_port};
    if (options_.program_rules) request.preferred = kUsualPorts;
    request.explicit_proxy = options_.explicit_proxy_port != 0;
    request.explicit_proxy_at = options_.explicit_proxy_address;
    request.udp = options_.program_rules;
    request.workers = worker_count(options_);
    if (options_.proxy_only) request.captured_at = base::IpAddress::v4({127, 0, 0, 1});
    SR_LET(listeners, net::open_listeners(request));
    listeners_ = std::move(*listeners);
    ports_ = listeners_.ports;
    if (options_.program_rules && (rules_.features().native_queue || rules_.features().compat_queue)) {
      auto opened = queue::open_packet_queue(queue::kPacketQueue);
      if (opened) packet_queue_ = std::move(*opened);
      if (!opened) log_.error("packet logging off: " + opened.error().message);
    }
    queue_open_ = static_cast<bool>(packet_queue_);
    return {};
  }

  base::Status start_runtime() {
    workers::RuntimeOptions runtime;
    runtime.resolvers = resolvers_;
    auto search = host::system_search_domains();
    runtime.search = {std::move(search.domains), search.ndots};
    runtime.nat64 = options_.nat64;
    runtime.hosts_file = trusted_hosts_file(options_);
    runtime.secrets_directory = options_.secrets_directory;
    runtime.denied = denied_;
    runtime.own_addresses =
        host::own_addresses(options_.claim, interfaces_, is_router() ? std::optional(inside_.index) : std::nullopt);
    runtime.local_addresses = host::all_addresses(interfaces_);
    for (const auto& claimed : options_.claim) runtime.local_addresses.push_back(claimed.address);
    runtime.upstream_mark = gateway_mark(options_);
    runtime.host = host_services();
    runtime.inspection = inspection_;
    runtime.route = route_;
    runtime.held = operator_.held();
    runtime.clients = options_.topology == netrules::Topology::kSidecar ? net::ClientKeys::Who::kOne
                                                                        : net::ClientKeys::Who::kEachNeighbour;
    SR_LET(started, workers::Runtime::start(std::move(runtime), std::move(listeners_), std::move(packet_queue_),
                                            policy_, operator_.log(), counters_));
    runtime_ = std::move(*started);
    say_limits(runtime_->capacity(), log_);
    return {};
  }

  base::Status open_metrics() {
    if (!options_.metrics) return {};
    SR_LET(metrics, MetricsServer::open(loop_, *options_.metrics, counters_));
    metrics_ = std::move(*metrics);
    return {};
  }
  base::Status claim() { return network_ ? network_->claim(interfaces_) : base::Status{}; }

  base::Status check_self() {
    SR_TRY(rules_.verify());
    return self_check(ports_, gateway_mark(options_),
                      [this](std::uint16_t port) { runtime_->announce_self_check(port); });
  }

  netrules::Intent intent() const {
    netrules::Intent intent = intent_of(options_, *policy_);
    intent.inside_interface = inside_.name;
    intent.redirect_port = ports_.redirected;
    intent.dns_port = ports_.dns;
    intent.udp_port = ports_.udp;
    intent.explicit_proxy_port = ports_.explicit_proxy;
    intent.native_queue = rules_.features().native_queue;
    if (!queue_open_) intent.packet_queue.reset();
    intent.denied_networks = denied_networks_.list();
    return intent;
  }

  // The networks of the addresses that denied names get. They move away from what a new policy lists.
  void choose_denied_networks() {
    const bool wanted = options_.program_rules && !options_.proxy_only;
    denied_networks_ = serving_networks(options_, *policy_, resolvers_, denied_networks_);
    if (!wanted || denied_networks_.v4) return;
    log_.lifecycle("denied_names",
                   "no network is free or routed for the addresses of denied names: they get the gateway's own, and "
                   "denials on other ports than 80 and 443 are not logged by name");
  }

  // What somebody else removed or changed is put back; until then the kernel may route, so it is said loudly.
  void look() {
    if (health_ == "stopping") return;
    std::vector<std::string> problems;
    if (!rules_.restore())
      problems.push_back("cannot restore the nftables rules: " + rules_.last_differences().front());
    const auto add = [&problems](std::vector<std::string> more) {
      std::ranges::move(more, std::back_inserter(problems));
    };
    if (network_ && options_.program_rules) add(network_->restore());
    if (!network_ && options_.program_rules) ways_out_.look(problems);
    // Elsewhere the pulse goes the way of an agent's question.
    if (options_.program_rules && is_router()) add(foreign_rule_problems(intent().table));
    if (auto full = host::connection_table_problem(); full && options_.program_rules)
      problems.push_back(std::move(*full));
    add(pulse_->look(watch_.was_told()));
    if (pulse_->is_waiting()) watch_.look_again_soon();
    say(std::move(problems));
  }

  // Each thing once: it is said again only if it went away and came back.
  void say(std::vector<std::string> problems) {
    for (const auto& line : problems) {
      if (std::ranges::find(problems_, line) == problems_.end()) log_.error(line);
    }
    if (problems.empty() && !problems_.empty()) log_.lifecycle("healthy", "all problems are resolved");
    problems_ = std::move(problems);
    health_ = problems_.empty() ? "healthy" : "degraded";
  }
  std::string health() const {
    return health_ == "healthy" && !workers_watch_.stalled().empty() ? "degraded" : health_;
  }

  // The new policy stands beside the old one until its rules are in the kernel.
  base::Status program_rules_of(std::shared_ptr<const policy::Policy> fresh) {
    SR_TRY(check_host_services(*fresh, host_services()));
    const auto previous = std::exchange(policy_, std::move(fresh));
    const auto previous_networks = denied_networks_;
    choose_denied_networks();
    auto status = rules_.program(netrules::open_rules(intent()), "open");
    if (!status) {
      policy_ = previous;
      denied_networks_ = previous_networks;
    }
    return status;
  }

  // Behind program_rules_of(): the workers take it too.
  void hand_out(PolicyInForce in_force, ReloadWatch::Answer answer) {
    denied_->use(denied_networks_);
    reloads_.begin(std::move(in_force), std::move(answer));
    runtime_->reload(policy_,
                     [this, version = version()] { asio::post(loop_, [this, version] { reloads_.taken(version); }); });
  }

  // `answer` may be empty.
  void reload(const base::Result<ServedFiles::Layers>& layers, ReloadWatch::Answer answer) {
    if (health_ == "stopping") return;
    auto laid = lay(layers);
    const base::Status status = laid ? program_rules_of(laid->policy) : std::unexpected(laid.error());
    if (!status) {
      ++counters_.reloads_refused;
      counters_.policy_stale = true;
      files_.refused();
      log_.reload(false, status.error().message + kNotReloaded);
      if (answer) answer(std::unexpected(status.error()));
      return;
    }
    ++counters_.reloads_accepted;
    counters_.policy_stale = false;
    run_time_.use(std::move(*laid));
    PolicyInForce in_force{version(), policy_summary(options_, *policy_)};
    in_force.mount_fault = files_.accepted();
    hand_out(std::move(in_force), std::move(answer));
  }

  base::Status put_in_force(std::shared_ptr<const policy::Policy> fresh, RunTimePolicy::Taken taken) {
    if (health_ == "stopping" || runtime_ == nullptr) return base::system_error("the gateway is not ready");
    SR_TRY(program_rules_of(std::move(fresh)));
    ++entry_changes_;
    PolicyInForce in_force{version(), policy_summary(options_, *policy_)};
    hand_out(std::move(in_force), std::move(taken));
    return {};
  }
  std::uint64_t version() const { return 1 + counters_.reloads_accepted.load() + entry_changes_; }

  void answer(const ControlQuestion& question, ControlSocket::Reply reply) {
    if (question.ask == "reload" && health_ != "stopping") {
      auto answer = [reply = std::move(reply)](const base::Result<PolicyInForce>& done) { reply(reload_answer(done)); };
      return reload(files_.read(ServedFiles::Why::kRequest), std::move(answer));
    }
    if (RunTimePolicy::answers(question.ask)) return run_time_.answer(question, reply);
    if (question.ask == "status" && pulse_) look();  // what changed since the last look counts
    reply(question.ask == "status" ? status() : std::string{});
  }

  void stop() {
    if (health_ == "stopping") return;
    health_ = "stopping";
    log_.lifecycle("stopping", "draining connections (3 s)");
    watch_.cancel();
    operator_.close();
    files_.stop_following();
    runtime_->begin_stop(kStopGrace);
    await_end(std::chrono::steady_clock::now() + kStopGrace + workers::Runtime::kEnd);
  }

  void await_end(std::chrono::steady_clock::time_point latest) {
    if (runtime_->ended() || std::chrono::steady_clock::now() >= latest) return end();
    end_watch_.expires_after(kEndWatch);
    end_watch_.async_wait([this, latest](const boost::system::error_code&) { await_end(latest); });
  }

  void end() {
    workers_watch_.cancel();
    close_rules();
    control_.reset();
    metrics_.reset();
    loop_.stop();
  }

  // A worker that does not end may still use everything here.
  [[noreturn]] void leave_at_once() {
    log_.error("a worker did not stop; exiting without it");
    std::this_thread::sleep_for(kLastWords);
    std::_Exit(0);
  }

  std::string status() {
    const ServingStatus status{
        .health = health(),
        .warnings = with_faults(host::with_mount_warning(problems_, serving_policy_files(options_)), *runtime_),
        .version = options_.version,
        .uptime = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_),
        .topology = std::string(topology_name(options_)),
        .inside = inside_.name,
        .upstream_proxy = route_ ? describe(*route_->proxy) : "",
        .policy_files = serving_policy_files(options_),
        .hosts = policy_->host_count(),
        .policy_version = version(),
        .policy_age = files_.age(),
        .policy_read_why = files_.why(),
        .behind = runtime_->behind(),
        .allowed = run_time_.entries_json(),
        .held = operator_.held() ? operator_.held()->size() : 0,
        .workers = runtime_->worker_count(),
        .stalled = workers_watch_.stalled(),
        .capacity = runtime_->capacity(),
        .rules = rules_.intended(),
        .differences = rules_.last_differences()};
    return to_json(status, counters_);
  }

  // A proxy in a container that was made for another one may have no such folder, or not be allowed to write there.
  bool control_may_be_missing() const {
    return options_.proxy_only && options_.control_socket == kDefaultControlSocket;
  }

  const ServeOptions& options_;
  audit::DecisionLog& log_;
  audit::Counters& counters_;
  OperatorLink operator_{log_, options_.ask, options_.ask_command};
  asio::io_context loop_;
  RuleReconciler rules_;
  Signals signals_{loop_, [this] { reload(files_.read(ServedFiles::Why::kRequest), {}); }, [this] { stop(); }};
  host::Watch watch_{loop_, [this] { look(); }};
  asio::steady_timer end_watch_;
  WorkerWatch workers_watch_{loop_, log_, counters_};
  ReloadWatch reloads_{loop_, log_, [this] { return runtime_->behind(); }};
  RunTimePolicy run_time_{loop_, log_,
                          [this](std::shared_ptr<const policy::Policy> fresh, RunTimePolicy::Taken taken) {
                            return put_in_force(std::move(fresh), std::move(taken));
                          },
                          host::replace_policy_file};
  std::uint64_t entry_changes_ = 0;  // since the start
  std::shared_ptr<const policy::Policy> policy_;
  ServedFiles files_{loop_,
                     log_,
                     served_paths(options_),
                     {[this] { return read_serving_layers(options_); },
                      [this]() -> const ServedFiles::Layers& { return run_time_.files(); },
                      [this](const base::Result<ServedFiles::Layers>& layers) { reload(layers, {}); }}};
  std::vector<dns::Upstream> resolvers_;
  host::HostAddress host_;
  net::DeniedNetworks denied_networks_;
  std::shared_ptr<dns::DeniedAddresses> denied_ = std::make_shared<dns::DeniedAddresses>();
  std::string origin_roots_;
  std::shared_ptr<const inspect::Inspection> inspection_;
  std::shared_ptr<const flow::UpstreamRoute> route_;
  std::vector<netlink::Interface> interfaces_;
  netlink::Interface inside_;
  std::optional<host::NetworkKeeper> network_;  // of a router
  host::WaysOut ways_out_;                      // where there is no such router
  std::optional<Pulse> pulse_;
  std::vector<std::string> problems_;
  net::Listeners listeners_;  // until the runtime has them
  base::Fd packet_queue_;     // likewise
  net::ListenPorts ports_;
  bool queue_open_ = false;
  std::string health_ = "starting";
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::unique_ptr<workers::Runtime> runtime_;
  std::unique_ptr<ControlSocket> control_;
  std::unique_ptr<MetricsServer> metrics_;
};
}  // namespace

base::Status serve(const ServeOptions& options, audit::DecisionLog& log, audit::Counters& counters) {
  Supervisor supervisor(options, log, counters);
  return supervisor.run();
}

}  // namespace soleroute::gateway::serve
