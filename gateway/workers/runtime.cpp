// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/workers/runtime.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <utility>

#include "gateway/dns/cache.h"
#include "gateway/workers/worker.h"

namespace soleroute::gateway::workers {
namespace {

net::BufferLimits buffer_limits(net::ClientKeys::Who clients) {
  return clients == net::ClientKeys::Who::kOne ? net::BufferLimits::of_one_client() : net::BufferLimits{};
}

// Log, CA, netlink, rules; listeners of control socket and metrics with what they accept.
constexpr std::size_t kOwnDescriptors = 64;
constexpr std::size_t kOwnOfWorker = 16;        // listeners, event loop, packet queue, spare, secrets
constexpr std::size_t kMaxConnections = 65536;  // whatever the descriptor limit says
constexpr std::size_t kLeast = 16;              // descriptors of a worker, if the limit is hardly any
constexpr std::size_t kPipesShare = 16;         // one in so many descriptors is half of a pipe
constexpr std::size_t kMaxPipes = 1024;         // of a worker

// Raises the soft limit to the hard one.
std::size_t descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, 1U << 20));
}

// How many descriptors a worker has for what.
struct Shares {
  std::size_t all = 0;  // of the process
  std::size_t clients = 0;
  std::size_t pipes = 0;
};

Shares shares_of(std::size_t workers) {
  const std::size_t all = descriptor_limit();
  const std::size_t own = kOwnDescriptors + workers * kOwnOfWorker;
  const std::size_t each = std::max(kLeast, all > own ? (all - own) / workers : 0);
  const std::size_t pipes = std::clamp<std::size_t>(each / kPipesShare / 2, 1, kMaxPipes);
  return {all, std::min(each - 2 * pipes, 2 * kMaxConnections / workers), pipes};
}

std::vector<base::IpAddress> addresses_here(const RuntimeOptions& options) {
  auto all = options.own_addresses;
  all.insert(all.end(), options.local_addresses.begin(), options.local_addresses.end());
  return all;
}

std::vector<base::HostName> endpoint_names(const policy::Policy& policy) {
  std::vector<base::HostName> names;
  for (const auto* one : policy.all()) {
    for (const auto& endpoint : one->endpoints()) {
      if (auto name = base::HostName::parse(endpoint.host); name) names.push_back(std::move(*name));
    }
  }
  return names;
}

// Where one agent may use any address, an address of an entry of `agents:` would be its choice.
std::shared_ptr<const policy::Policy> for_clients(net::ClientKeys::Who clients,
                                                  const std::shared_ptr<const policy::Policy>& policy) {
  return clients == net::ClientKeys::Who::kOne ? policy::Policy::without_agents(policy) : policy;
}

// Element `index` of a group that has one for each worker, or none at all.
base::Fd taken(std::vector<base::Fd>& group, std::size_t index) {
  return index < group.size() ? std::move(group[index]) : base::Fd();
}

WorkerSockets sockets_of(net::Listeners& listeners, std::size_t index) {
  WorkerSockets sockets;
  sockets.redirected = taken(listeners.redirected, index);
  sockets.explicit_proxy = taken(listeners.explicit_proxy, index);
  sockets.udp = taken(listeners.udp, index);
  if (base::Fd udp = taken(listeners.dns_udp, index)) sockets.dns_udp.push_back(std::move(udp));
  if (base::Fd tcp = taken(listeners.dns_tcp, index)) sockets.dns_tcp.push_back(std::move(tcp));
  return sockets;
}

}  // namespace

struct Runtime::State {
  State(RuntimeOptions options, audit::DecisionLog& next, audit::Counters& counters, const Shares& shares,
        std::size_t count)
      : denials(addresses_here(options)),
        log(next, denials, [this] { return snapshot(); }),
        limits(buffer_limits(options.clients)),
        shared{std::move(options),
               dns::make_cache(),
               std::make_shared<dns::ReverseNames>(),
               std::make_shared<dns::ClientLimits>(),
               log,
               counters,
               denials,
               std::make_shared<net::BufferAccount>(limits),
               self_check_port,
               shares.clients,
               shares.pipes},
        capacity{shares.all, shares.clients / 2 * count} {}

  [[nodiscard]] std::shared_ptr<const policy::Policy> snapshot() const {
    const std::lock_guard lock(mutex);
    return policy;
  }

  flow::RecentDenials denials;
  flow::RememberingLog log;
  std::atomic<std::uint16_t> self_check_port{0};
  net::BufferLimits limits;
  Shared shared;
  std::vector<std::unique_ptr<Worker>> workers;
  mutable std::mutex mutex;
  std::shared_ptr<const policy::Policy> policy;
  Capacity capacity;
  std::uint64_t version = 0;  // of the policy: counts reloads
  bool stopping = false;
  bool stopped = false;
};

Runtime::Runtime(std::unique_ptr<State> state) : state_(std::move(state)) {}

Runtime::~Runtime() {
  stop(std::chrono::milliseconds(0));
}

base::Result<std::unique_ptr<Runtime>> Runtime::start(RuntimeOptions options, net::Listeners listeners,
                                                      base::Fd packet_queue,
                                                      std::shared_ptr<const policy::Policy> policy,
                                                      audit::DecisionLog& log, audit::Counters& counters) {
  if (options.resolvers.empty()) return base::usage_error("no upstream resolver; pass --resolver ADDR");
  const std::size_t count = std::max<std::size_t>(1, listeners.redirected.size());
  const Shares shares = shares_of(count);
  try {
    policy = for_clients(options.clients, policy);
    auto state = std::make_unique<State>(std::move(options), log, counters, shares, count);
    state->policy = policy;
    if (listeners.conntrack)
      state->shared.tracked = std::make_shared<netlink::Conntrack>(std::move(listeners.conntrack));
    state->shared.names->keep(endpoint_names(*policy));
    state->shared.fixed->use(policy);
    state->shared.options.denied->tell_apart(state->shared.options.clients);
    const auto in_force = std::make_shared<const flow::PolicyInForce>(std::move(policy));
    for (std::size_t i = 0; i < count; ++i) {
      WorkerSockets sockets = sockets_of(listeners, i);
      sockets.packet_queue = std::exchange(packet_queue, {});  // the first one's
      state->workers.push_back(std::make_unique<Worker>(state->shared, std::move(sockets), in_force));
    }
    state->workers.front()->keep_own_addresses();
    state->workers.front()->keep_nat64();
    auto runtime = std::unique_ptr<Runtime>(new Runtime(std::move(state)));  // joins those that were started
    for (auto& worker : runtime->state_->workers) worker->start();
    return runtime;
  } catch (const std::exception& error) {  // Asio and std::thread: no descriptor, no thread, no memory
    return base::system_error(fmt::format("cannot start the workers: {}", error.what()));
  }
}

void Runtime::reload(std::shared_ptr<const policy::Policy> policy, std::function<void()> taken) {
  policy = for_clients(state_->shared.options.clients, policy);
  {
    const std::lock_guard lock(state_->mutex);
    state_->policy = policy;
  }
  const auto left = std::make_shared<std::atomic<std::size_t>>(state_->workers.size());
  const auto count = [left, taken = std::move(taken)] {
    if (--*left == 0 && taken) taken();
  };
  // Here: it may take longer than a worker has.
  const auto in_force = std::make_shared<const flow::PolicyInForce>(std::move(policy));
  state_->shared.names->keep(endpoint_names(*in_force->policy()));
  state_->shared.fixed->use(in_force->policy());
  state_->shared.cache->policy_changed();
  ++state_->version;
  for (auto& worker : state_->workers) worker->reload(in_force, state_->version, count);
}

std::vector<std::size_t> Runtime::behind() const {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < state_->workers.size(); ++i) {
    if (state_->workers[i]->policy_version() < state_->version) numbers.push_back(i + 1);
  }
  return numbers;
}

void Runtime::ask_for_signs() {
  const auto now = Worker::Clock::now();
  for (auto& worker : state_->workers) worker->ask_for_sign(now);
}

std::vector<std::size_t> Runtime::stalled() const {
  const auto now = Worker::Clock::now();
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < state_->workers.size(); ++i) {
    if (state_->workers[i]->silent_for(now) >= kStalled) numbers.push_back(i + 1);
  }
  return numbers;
}

std::size_t Runtime::worker_count() const {
  return state_->workers.size();
}

std::vector<std::string> Runtime::resolver_faults() const {
  return state_->shared.resolver_traits->faults();
}

Capacity Runtime::capacity() const {
  return state_->capacity;
}

void Runtime::announce_self_check(std::uint16_t port) {
  state_->self_check_port = port;
}

std::shared_ptr<const policy::Policy> Runtime::policy() const {
  return state_->snapshot();
}

void Runtime::begin_stop(std::chrono::milliseconds grace) {
  if (std::exchange(state_->stopping, true)) return;
  for (auto& worker : state_->workers) worker->stop(grace);
}

bool Runtime::ended() const {
  return std::ranges::all_of(state_->workers, [](const auto& worker) { return worker->ended(); });
}

bool Runtime::stop(std::chrono::milliseconds grace) {
  if (state_ == nullptr || std::exchange(state_->stopped, true)) return true;
  begin_stop(grace);
  const auto latest = Worker::Clock::now() + grace + kEnd;
  bool all = true;
  for (auto& worker : state_->workers) all = worker->join(latest) && all;
  if (all) return true;
  State* const abandoned = state_.release();  // a worker may still use it
  static_cast<void>(abandoned);
  return false;
}

}  // namespace soleroute::gateway::workers
