// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/runtime.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <latch>
#include <mutex>
#include <utility>

#include "gateway/dns/cache.h"
#include "gateway/serve/worker.h"

namespace soleroute::gateway::serve {
namespace {

constexpr std::size_t kOwnDescriptors = 192;    // listeners, resolvers, log, control, pipes
constexpr std::size_t kMaxConnections = 65536;  // whatever the descriptor limit says

// Raises the soft limit to the hard one: two descriptors for each connection.
std::size_t descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, 1U << 20));
}

std::size_t connection_limit(const RuntimeOptions& options) {
  const std::size_t descriptors = descriptor_limit();
  const std::size_t possible = descriptors > 2 * kOwnDescriptors ? (descriptors - kOwnDescriptors) / 2 : 16;
  const std::size_t wanted = options.max_connections == 0 ? kMaxConnections : options.max_connections;
  return std::min(possible, wanted);
}

std::vector<base::IpAddress> addresses_here(const RuntimeOptions& options) {
  auto all = options.own_addresses;
  all.insert(all.end(), options.local_addresses.begin(), options.local_addresses.end());
  return all;
}

std::vector<base::HostName> endpoint_names(const policy::Policy& policy) {
  std::vector<base::HostName> names;
  for (const auto& endpoint : policy.endpoints()) {
    if (auto name = base::HostName::parse(endpoint.host); name) names.push_back(std::move(*name));
  }
  return names;
}

// Element `index` of a group that has one for each worker, or none at all.
base::Fd taken(std::vector<base::Fd>& group, std::size_t index) {
  return index < group.size() ? std::move(group[index]) : base::Fd();
}

WorkerSockets sockets_of(net::Listeners& listeners, std::size_t index) {
  WorkerSockets sockets;
  sockets.redirected = taken(listeners.redirected, index);
  sockets.explicit_proxy = taken(listeners.explicit_proxy, index);
  if (base::Fd udp = taken(listeners.dns_udp, index)) sockets.dns_udp.push_back(std::move(udp));
  if (base::Fd tcp = taken(listeners.dns_tcp, index)) sockets.dns_tcp.push_back(std::move(tcp));
  return sockets;
}

}  // namespace

struct Runtime::State {
  State(RuntimeOptions options, audit::DecisionLog& next, audit::Counters& counters, std::size_t connections)
      : denials(addresses_here(options)),
        log(next, denials, [this] { return snapshot(); }),
        shared{std::move(options),
               dns::make_cache(),
               std::make_shared<dns::NameBook>(),
               log,
               counters,
               denials,
               std::make_shared<net::BufferAccount>(net::BufferLimits{}),
               self_check_port,
               connections} {}

  [[nodiscard]] std::shared_ptr<const policy::Policy> snapshot() const {
    const std::lock_guard lock(mutex);
    return policy;
  }

  flow::DenialBook denials;
  flow::RememberingLog log;
  std::atomic<std::uint16_t> self_check_port{0};
  Shared shared;
  std::vector<std::unique_ptr<Worker>> workers;
  mutable std::mutex mutex;
  std::shared_ptr<const policy::Policy> policy;
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
  if (options.resolvers.empty()) return base::usage_error("no upstream resolver: name one with --resolver ADDRESS");
  const std::size_t count = std::max<std::size_t>(1, listeners.redirected.size());
  const std::size_t connections = connection_limit(options);
  try {
    auto state = std::make_unique<State>(std::move(options), log, counters, connections / count);
    state->policy = policy;
    state->shared.names->keep(endpoint_names(*policy));
    const PolicyAndPages in_force{policy, flow::policy_pages(*policy)};
    for (std::size_t i = 0; i < count; ++i) {
      WorkerSockets sockets = sockets_of(listeners, i);
      if (i == 0) sockets.packet_queue = std::move(packet_queue);
      state->workers.push_back(std::make_unique<Worker>(state->shared, std::move(sockets), in_force));
    }
    auto runtime = std::unique_ptr<Runtime>(new Runtime(std::move(state)));  // joins those that were started
    for (auto& worker : runtime->state_->workers) worker->start();
    return runtime;
  } catch (const std::exception& error) {  // Asio and std::thread: no descriptor, no thread, no memory
    return base::system_error(fmt::format("cannot start the workers: {}", error.what()));
  }
}

void Runtime::reload(std::shared_ptr<const policy::Policy> policy) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->policy = policy;
  }
  const PolicyAndPages in_force{policy, flow::policy_pages(*policy)};  // here: it may take longer than a worker has
  state_->shared.names->keep(endpoint_names(*policy));
  state_->shared.cache->policy_changed();
  const auto done = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(state_->workers.size()));
  for (auto& worker : state_->workers) worker->reload(in_force, done);
  done->wait();  // no worker waits for anything: each comes round to it
}

void Runtime::announce_self_check(std::uint16_t port) {
  state_->self_check_port = port;
}

std::shared_ptr<const policy::Policy> Runtime::policy() const {
  return state_->snapshot();
}

void Runtime::stop(std::chrono::milliseconds grace) {
  if (std::exchange(state_->stopped, true)) return;
  for (auto& worker : state_->workers) worker->stop(grace);
  for (auto& worker : state_->workers) worker->join();
}

}  // namespace soleroute::gateway::serve
