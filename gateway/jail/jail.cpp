// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/jail.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "base/mount_info.h"
#include "base/standard_error.h"
#include "base/text.h"
#include "gateway/audit/counters.h"
#include "gateway/host/host_address.h"
#include "gateway/host/network.h"
#include "gateway/host/origin_roots.h"
#include "gateway/host/policy_files.h"
#include "gateway/host/system_resolvers.h"
#include "gateway/inspect/authority.h"
#include "gateway/inspect/ca_directory.h"
#include "gateway/inspect/inspection.h"
#include "gateway/jail/command_environment.h"
#include "gateway/jail/credentials.h"
#include "gateway/jail/decision_summary.h"
#include "gateway/jail/end_files.h"
#include "gateway/jail/host_environment.h"
#include "gateway/jail/judged_file.h"
#include "gateway/jail/network.h"
#include "gateway/jail/operator_desk.h"
#include "gateway/jail/outside.h"
#include "gateway/jail/process_state.h"
#include "gateway/jail/protected_paths.h"
#include "gateway/jail/published.h"
#include "gateway/jail/rights_of.h"
#include "gateway/jail/run_report.h"
#include "gateway/jail/runner_files.h"
#include "gateway/jail/socket_hint.h"
#include "gateway/jail/standard_descriptors.h"
#include "gateway/jail/trust.h"
#include "gateway/netlink/links.h"
#include "gateway/serve/denied_networks.h"
#include "gateway/serve/resolvers.h"
#include "gateway/serve/upstream_route.h"
#include "gateway/workers/runtime.h"

namespace soleroute::gateway::jail {
namespace {

constexpr const char* kJobSummaryVariable = "GITHUB_STEP_SUMMARY";
constexpr const char* kHostsFile = "/etc/hosts";
constexpr std::string_view kNoFile = "/dev/null";  // as in a jail in a jail
// A verdict on a queued packet needs it over the jail's network, which is the host's own where there is no user
// namespace; with one, its maker has it anyway.
constexpr std::uint64_t kVerdictCapability = std::uint64_t{1} << CAP_NET_ADMIN;

void say(std::string_view line) {
  base::to_standard_error(fmt::format("gateway: {}\n", line));
}

void say_of(const std::vector<std::string>& names, std::string_view what) {
  if (names.empty()) return;
  say(fmt::format("{} {} {}", fmt::join(names, ", "), names.size() == 1 ? "is" : "are", what));
}

int worker_count(const JailOptions& options) {
  const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return std::clamp(options.workers == 0 ? processors : options.workers, 1, kMaxJailWorkers);
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::string home_of(const Identity& identity) {
  if (identity.borrowed) return identity.home;
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : home;
}

// Everything that is known before the first process is made, and everything that can be wrong without one.
class Run {
 public:
  explicit Run(const JailOptions& options) : options_(options) {}

  base::Result<int> run() {
    SR_TRY(prepare());
    SR_LET(signals, take_signals());
    auto status = jailed(*signals);
    if (!status) end_files_.forget_policy();
    report_lost();
    SR_TRY(restore_signals(*signals));
    return status;
  }

 private:
  base::Status prepare() {
    SR_TRY(fill_standard_descriptors());
    SR_TRY(check_standard_descriptors());
    SR_LET(invoker, examine_invoker());
    privileged_ = invoker->privileged;
    SR_LET(identity, command_identity(*invoker));
    identity_ = std::move(*identity);
    SR_LET(mountinfo, base::read_mount_info());
    mounts_ = base::parse_mount_info(*mountinfo);
    // Before any of these files is opened: root, for a user, must not be led astray by a link of the command's.
    SR_LET(judged, protection());
    const host::FileReader read = [&](const std::string& path, std::size_t max_bytes) {
      return read_judged_file(path, max_bytes, judged->judged, identity_);
    };
    SR_LET(policy, load_jail_policy(options_.policy_files, read, layers_over_the_files()));
    policy_ = std::move(*policy);
    const secrets::SecretStore secrets(options_.secrets_directory);
    SR_TRY(secrets.check(*policy_.policy));
    const bool dispensable = policy_.policy->denies_everything() || options_.upstream_proxy;
    SR_LET(resolvers, serve::resolvers_of(options_.resolvers, dispensable));
    resolvers_ = std::move(*resolvers);
    denied_networks_ = net::choose_denied_networks(serve::taken_networks(*policy_.policy, resolvers_));
    SR_TRY(read_trust(read));
    SR_LET(route, serve::make_upstream_route(options_.upstream_proxy, options_.upstream_password_file, origin_roots_,
                                             kHostsFile, read));
    route_ = std::move(*route);
    SR_LET(runner_files, keep_runner_files(identity_, mounts_));
    runner_files_ = std::move(*runner_files);
    if (!options_.decisions_file.empty()) {
      SR_LET(decisions, open_judged_log(options_.decisions_file, judged->judged, identity_));
      decisions_ = std::move(*decisions);
      SR_TRY(check_apart(decisions_, options_.decisions_file, other_files()));
    }
    control_folder_ = make_control_folder(identity_).value_or("");
    SR_LET(published, open_published(options_.published));
    published_ = std::move(*published);
    return open_end_files();
  }

  // What the command line adds to the files.
  std::vector<policy::PolicySource> layers_over_the_files() const {
    std::vector<policy::PolicySource> layers;
    if (!options_.allowed.empty()) layers.push_back({"--allow", options_.allowed});
    if (options_.mode) {
      const bool observe = *options_.mode == policy::Mode::kObserve;
      layers.push_back({"--mode", observe ? "mode: observe\n" : "mode: enforce\n"});
    }
    return layers;
  }

  base::Status open_end_files() {
    const char* job_summary = std::getenv(kJobSummaryVariable);
    const bool wanted =
        job_summary != nullptr && std::string_view(job_summary) != kNoFile && options_.summary != Summary::kNever;
    std::vector<std::string> others = other_files();
    others.push_back(options_.decisions_file);
    SR_LET(files, EndFiles::open({.summary = options_.summary_file,
                                  .job_summary = wanted ? job_summary : "",
                                  .policy = options_.save_file,
                                  .others = std::move(others)},
                                 identity_, mounts_));
    end_files_ = std::move(*files);
    if (!end_files_.skipped().empty()) say(end_files_.skipped());
    return {};
  }

  // What the run reads, and what a CI runner does: no output may go there.
  std::vector<std::string> other_files() const {
    std::vector<std::string> paths{options_.secrets_directory, options_.ca_directory, options_.upstream_password_file};
    append(paths, options_.policy_files);
    append(paths, options_.trust_files);
    append(paths, runner_files_);
    if (const auto found = host::find_default_policy(""); found && options_.policy_files.empty()) {
      paths.push_back(*found);
    }
    if (const auto usual = inspect::default_ca_directory()) paths.push_back(*usual);
    return paths;
  }

  CommandEnvironment environment_inside() const {
    const auto port = options_.explicit_proxy_port;
    const std::string proxy = port == 0 ? "" : "http://" + base::Endpoint{jail_address_v4(), port}.to_string();
    std::vector<std::string_view> closed(kRunnerVariables.begin(), kRunnerVariables.end());
    if (end_files_.has_job_summary()) closed.emplace_back(kJobSummaryVariable);
    return command_environment(identity_environment(current_environment(), identity_), proxy, closed);
  }

  // Of everything that the command line names, and of the policy that was found.
  base::Result<Protection> protection() const {
    std::vector<TrustedPath> trusted;
    trusted.reserve(options_.policy_files.size());
    for (const std::string& file : options_.policy_files) trusted.push_back({.path = file});
    if (options_.policy_files.empty()) {
      if (auto found = host::find_default_policy("")) trusted.push_back({.path = *found, .named = false});
    }
    for (const std::string& file : options_.trust_files) trusted.push_back({.path = file});
    trusted.push_back({.path = options_.decisions_file, .kind = TrustedKind::kLog});
    trusted.push_back({.path = options_.secrets_directory, .kind = TrustedKind::kFolder});
    trusted.push_back({.path = options_.ca_directory, .kind = TrustedKind::kFolder});
    trusted.push_back({.path = options_.upstream_password_file, .kind = TrustedKind::kSecret});
    trusted.push_back({.path = kHostsFile});
    for (const std::string& path : runner_files_) trusted.push_back({.path = path, .kind = TrustedKind::kLog});
    for (TrustedPath& path : end_files_.paths()) trusted.push_back(std::move(path));
    return protect(trusted, identity_, mounts_);
  }

  base::Status read_trust(const host::FileReader& read) {
    SR_LET(roots, host::read_roots(options_.trust_files, read));
    origin_roots_ = std::move(*roots);
    if (options_.ca_directory.empty()) return {};
    SR_LET(kept, inspect::load_or_create_ca(options_.ca_directory, std::chrono::system_clock::now()));
    authority_.emplace(std::move(kept->authority));
    return {};
  }

  // A CA of this run alone, unless one is kept: nothing is left behind, and its key is on no disk.
  base::Result<Trust> make_own_trust() {
    if (!authority_) {
      SR_LET(fresh, inspect::Authority::create(std::chrono::system_clock::now()));
      authority_.emplace(std::move(*fresh));
    }
    // The variables and the home folder are the user's, and may lead to what only root may read.
    const RightsOf rights(identity_);
    if (!rights.complete()) return base::system_error("cannot switch to the rights of the command's user");
    const std::vector<std::string> environment = identity_environment(current_environment(), identity_);
    return make_trust({.roots_pem = origin_roots_, .ca_pem = authority_->certificate_pem(), .environment = environment},
                      system_trust_places(environment));
  }

  base::Result<MountPlan> mount_plan() {
    SR_LET(environment, plan_mounts({.uid = identity_.uid,
                                     .home = home_of(identity_),
                                     .environment = current_environment(),
                                     .nameserver = jail_address_v4(),
                                     .kept_sockets = options_.unix_sockets,
                                     .mounts = mounts_}));
    if (const std::string hidden = say_hidden(environment->foreign_sockets); !hidden.empty()) say(hidden);
    if (const std::string cut = say_cut(environment->cut_searches); !cut.empty()) say(cut);
    SR_LET(guarded, protection());
    MountPlan mounts = std::move(environment->mounts);
    hidden_sockets_ = mounts.masked_sockets;
    append(hidden_sockets_, mounts.empty_directories);
    mounts.pinned_folders = std::move(guarded->pinned_folders);
    mounts.read_only_files = std::move(guarded->read_only_files);
    append(mounts.masked_sockets, guarded->masked);
    append(mounts.empty_directories, guarded->hidden_folders);
    append(mounts.empty_directories, control_folders_to_hide(identity_));
    // The command may be the very user whose keys these are.
    if (const auto usual = inspect::default_ca_directory()) mounts.empty_directories.push_back(*usual);
    return mounts;
  }

  base::Result<InsidePlan> inside_plan(const SignalState& signals) {
    SR_LET(mounts, mount_plan());
    CommandEnvironment environment = environment_inside();
    say_of_proxies(environment);
    say_of(environment.closed_files, "not writable inside: use a step outside the jail");
    auto intent = jail_intent(*policy_.policy);
    intent.denied_networks = denied_networks_.list();
    const bool udp = std::ranges::any_of(intent.endpoints, [](const netrules::EndpointRule& endpoint) {
      return endpoint.transport == netrules::EndpointRule::Transport::kUdp;
    });
    intent.endpoints_by_proxy = route_ != nullptr;
    const NetworkRequest network{.intent = std::move(intent),
                                 .explicit_proxy_port = options_.explicit_proxy_port,
                                 .udp_endpoints = udp,
                                 .workers = worker_count(options_)};
    InsidePlan plan;
    plan.namespaces.user = !privileged_;
    plan.identity = identity_;
    plan.mounts = std::move(*mounts);
    plan.command = options_.command;
    plan.environment = std::move(environment.variables);
    plan.signals = signals;
    if (!published_.empty()) {
      SR_LET(line, Channel::make());
      socket_requests_ = std::move(line->first);
      plan.socket_requests = std::move(line->second);
    }
    plan.prepare = [network] { return prepare_network(network); };
    return plan;
  }

  void say_of_proxies(const CommandEnvironment& environment) const {
    if (route_ && !options_.upstream_variable.empty()) {
      say(fmt::format("{}: using the upstream proxy {} (to connect directly: --upstream-proxy off)",
                      options_.upstream_variable, serve::describe(*route_->proxy)));
    }
    if (route_ && !options_.skipped_exceptions.empty()) {
      const auto skipped = fmt::format("{}", fmt::join(options_.skipped_exceptions, ", "));
      say("NO_PROXY: entries that are not understood, and ignored: " + base::shown(skipped));
    }
    say_of(environment.ignored_proxies,
           route_ ? "not set inside: the gateway asks the proxy" : "ignored inside: the gateway connects directly");
    say_of(environment.changed_proxies, "changed inside: the proxy there is the gateway's");
  }

  base::Result<int> jailed(const SignalState& signals) {
    SR_LET(plan, inside_plan(signals));
    SR_LET(jail, Jail::launch(std::move(*plan)));
    // Beside the inside, which sets up its network.
    SR_LET(trust, make_own_trust());
    if (trust->without_firefox && options_.log == audit::Verbosity::kDebug) {
      say("Firefox does not trust the jail's CA: --trust names too many certificates for its policy");
    }
    SR_TRY(stand_back());

    // From here on there are threads, and nothing forks.
    auto sink = decisions_ ? audit::make_json_log(std::move(decisions_), options_.log, &counters_)
                           : audit::make_discarding_log();
    SummaryLog log(std::move(sink), options_.save_file.empty() ? nullptr : options_.learner.take);
    OperatorDesk desk(log, options_.ask, options_.ask_command);
    SR_LET(serving, runtime_options());
    serving->held = desk.held();
    SR_TRY(jail->complete(*trust));
    SR_LET(runtime, start_runtime(std::move(*serving), jail->take_prepared(), desk.log()));
    SR_LET(publisher, start_publisher());
    open_desk(desk, **runtime);
    say_what_it_holds();
    auto status = jail->run();
    publisher->reset();
    close_desk(desk);
    (*runtime)->stop(std::chrono::milliseconds(0));
    if (status) report(log.summary(), *status);
    return status;
  }

  // The gateway keeps what it needs to serve and to report, and cannot be looked into by the command.
  base::Status stand_back() const {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO}) {
      SR_TRY(detach_descriptor(fd));
    }
    const Identity* identity = identity_.borrowed ? &identity_ : nullptr;
    SR_TRY(drop_privileges(identity, privileged_ ? kVerdictCapability : 0));
    return set_dumpable(false);
  }

  base::Result<workers::RuntimeOptions> runtime_options() {
    SR_LET(inspection, inspect::make_inspection(std::move(*authority_), origin_roots_));
    SR_LET(interfaces, netlink::list_interfaces());
    workers::RuntimeOptions options;
    options.resolvers = resolvers_;
    auto search = host::system_search_domains();  // the command's resolv.conf has the same lines
    options.search = {std::move(search.domains), search.ndots};
    options.nat64 = options_.nat64;
    options.hosts_file = kHostsFile;
    options.secrets_directory = options_.secrets_directory;
    options.inspection = std::move(*inspection);
    options.route = route_;
    options.local_addresses = host::all_addresses(*interfaces);
    options.host.addresses = host::loopback_of_this_machine().addresses;
    for (const PublishedPort& port : options_.published) options.host.own_ports.push_back(port.outside.port);
    return options;
  }

  base::Result<std::unique_ptr<workers::Runtime>> start_runtime(workers::RuntimeOptions options, Message prepared,
                                                                audit::DecisionLog& log) {
    SR_LET(network, unpack_network(std::move(prepared)));
    options.own_addresses = network->own_addresses;
    options.denied = std::make_shared<dns::DeniedAddresses>(denied_networks_);
    options.local_addresses.insert(options.local_addresses.end(), network->own_addresses.begin(),
                                   network->own_addresses.end());
    return workers::Runtime::start(std::move(options), std::move(network->listeners), std::move(network->packet_queue),
                                   policy_.policy, log, counters_);
  }

  void open_desk(OperatorDesk& desk, workers::Runtime& runtime) const {
    if (control_folder_.empty()) return;
    DeskOptions about{.folder = control_folder_, .policy = policy_.policy, .version = options_.version};
    for (const auto& file : policy_.sources) about.paths.push_back(file.name);
    about.layers = policy_.sources;
    for (auto& layer : layers_over_the_files()) about.layers.push_back(std::move(layer));
    const auto opened = desk.open(std::move(about), runtime, counters_);
    if (!opened && options_.log == audit::Verbosity::kDebug) say(opened.error().message);
  }

  // What an operator saved meanwhile is no surprise at the end.
  void close_desk(OperatorDesk& desk) {
    for (const auto& written : desk.close()) {
      for (auto& file : policy_.sources) {
        if (file.name == written.name) file.text = written.text;
      }
    }
  }

  base::Result<std::unique_ptr<Publisher>> start_publisher() {
    if (published_.empty()) return std::unique_ptr<Publisher>{};
    return Publisher::start(std::move(published_), std::move(socket_requests_));
  }

  // Only what nobody would expect: a policy that allows something and holds the rest needs no words.
  void say_what_it_holds() const {
    const bool blocked = policy_.policy->denies_everything();
    const bool terminal = ::isatty(STDERR_FILENO) == 1;  // a pipe may expect the command's own words alone
    if (blocked || !policy_.choice.files.empty()) {
      base::to_standard_error(terminal ? host::policy_notice(policy_.choice) : host::policy_warning(policy_.choice));
    }
    if (policy_.policy->mode() == policy::Mode::kObserve) {
      return say("observe mode: nothing public is blocked; would-be denials are logged");
    }
    if (!blocked || policy_.sources.empty()) return;
    say("warning: the policy is empty: all network access is blocked");
  }

  // Once the log has written, or given up.
  void report_lost() const {
    const auto lost = counters_.log_records_dropped.load();
    if (lost == 0) return;
    say(fmt::format("cannot write {} decisions to {}: check for a full disk", lost, options_.decisions_file));
  }

  RunEnd end_of(DecisionSummary decisions, int status) const {
    RunEnd end{.decisions = std::move(decisions), .status = status};
    if (!policy_.sources.empty()) end.policy_file = policy_.sources.back().name;
    for (const std::string& file : options_.policy_files) {
      end.policy_options += fmt::format("--policy {} ", in_shell_quotes(file));
    }
    std::vector<std::string> servers;
    servers.reserve(resolvers_.size());
    for (const dns::Upstream& resolver : resolvers_) servers.push_back(resolver.server.address.to_string());
    end.name_servers = fmt::format("{}", fmt::join(servers, ", "));
    const bool has_run = status != 0 && status != kCannotExecute && status != kNotFound;
    if (has_run) end.hint = socket_hint(options_.command, current_environment(), hidden_sockets_);
    return end;
  }

  std::string lines_for_stderr(const RunEnd& end) const {
    const policy::Policy& policy = *policy_.policy;
    if (options_.summary == Summary::kNever) return {};
    const bool whole = options_.summary == Summary::kAlways || ::isatty(STDERR_FILENO) == 1;
    if (!whole && (end.status == 0 || (!has_obstacle(end.decisions) && end.hint.empty()))) return {};
    const bool other_format = options_.summary_file.empty() && options_.summary_format != SummaryFormat::kText;
    if (!whole && !other_format) return end_lines(end, policy, options_.colour);
    const SummaryFormat format = other_format ? options_.summary_format : SummaryFormat::kText;
    return formatted_summary(format, end, policy, options_.colour);
  }

  // The command has run: what goes wrong here is said, and its exit status stays.
  void report(DecisionSummary summary, int status) const {
    for (const std::string& change : policy_changes(policy_)) say(change);
    const RunEnd end = end_of(std::move(summary), status);
    base::to_standard_error(lines_for_stderr(end));
    for (const base::Status& written : {write_summary(end), write_job_summary(end), save_policy()}) {
      if (!written) say(written.error().message);
    }
  }

  base::Status write_summary(const RunEnd& end) const {
    if (!end_files_.has_summary()) return {};
    return end_files_.write_summary(formatted_summary(options_.summary_format, end, *policy_.policy, false));
  }

  base::Status write_job_summary(const RunEnd& end) const {
    const bool obstacle = !end.decisions.denied.empty() || !end.decisions.failed.empty();
    if (!end_files_.has_job_summary() || (!obstacle && options_.summary != Summary::kAlways)) return {};
    return end_files_.write_job_summary(formatted_summary(SummaryFormat::kMarkdown, end, *policy_.policy, false));
  }

  base::Status save_policy() const {
    if (options_.save_file.empty()) return {};
    std::vector<policy::PolicySource> layers = policy_.sources;
    if (!options_.allowed.empty()) layers.push_back({"--allow", options_.allowed});
    SR_LET(text, options_.learner.text(layers));
    SR_TRY(end_files_.write_policy(*text));
    say(fmt::format("saved {}: read it before you use it", base::shown(options_.save_file)));
    return {};
  }

  const JailOptions& options_;
  bool privileged_ = false;
  Identity identity_;
  std::vector<base::Mount> mounts_;
  LoadedPolicy policy_;
  std::vector<dns::Upstream> resolvers_;
  net::DeniedNetworks denied_networks_;
  std::optional<inspect::Authority> authority_;  // until the runtime has it
  std::string origin_roots_;
  std::shared_ptr<const flow::UpstreamRoute> route_;
  base::Fd decisions_;
  std::vector<OpenPort> published_;  // until the publisher has them
  Channel socket_requests_;          // likewise
  std::vector<std::string> runner_files_;
  EndFiles end_files_;
  std::string control_folder_;               // empty: there is no place for a control socket
  std::vector<std::string> hidden_sockets_;  // and emptied folders
  audit::Counters counters_;
};

}  // namespace

base::Result<int> run_in_jail(const JailOptions& options) {
  return Run(options).run();
}

}  // namespace soleroute::gateway::jail
