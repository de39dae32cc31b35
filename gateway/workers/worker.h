// One thread of the gateway: its event loop, its flows, its buffers; shares only snapshots, counters, cache and log.
// Constructed, started and joined by the runtime; everything posted runs on its own thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/client_limits.h"
#include "gateway/dns/endpoint_lookups.h"
#include "gateway/dns/resolver.h"
#include "gateway/dns/reverse_names.h"
#include "gateway/dns/server.h"
#include "gateway/dns/static_names.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/context.h"
#include "gateway/flow/pipe_pool.h"
#include "gateway/flow/policy_in_force.h"
#include "gateway/flow/recent_denials.h"
#include "gateway/flow/registry.h"
#include "gateway/host/watch.h"
#include "gateway/ingress/udp_relay.h"
#include "gateway/net/buffer_account.h"
#include "gateway/net/deadline_wheel.h"
#include "gateway/net/descriptor_budget.h"
#include "gateway/net/nat64_book.h"
#include "gateway/net/own_address.h"
#include "gateway/net/readiness.h"
#include "gateway/net/stream.h"
#include "gateway/netlink/conntrack.h"
#include "gateway/queue/packet_log.h"
#include "gateway/workers/runtime.h"
#include "policy/policy.h"

namespace soleroute::gateway::workers {

// What all workers share.
struct Shared {
  RuntimeOptions options;
  std::shared_ptr<dns::Cache> cache;
  std::shared_ptr<dns::ReverseNames> names;
  std::shared_ptr<dns::ClientLimits> lookups;
  audit::DecisionLog& log;
  audit::Counters& counters;
  const flow::RecentDenials& denials;
  std::shared_ptr<net::BufferAccount> buffers;
  const std::atomic<std::uint16_t>& self_check_port;  // of Runtime::announce_self_check
  std::size_t descriptors_per_worker = 0;             // for clients
  std::size_t pipes_per_worker = 0;
  std::shared_ptr<netlink::Conntrack> tracked{};  // of Listeners::udp; null: there are none
  std::shared_ptr<net::OwnAddressBook> own_addresses = std::make_shared<net::OwnAddressBook>();
  std::shared_ptr<dns::StaticNames> fixed = std::make_shared<dns::StaticNames>(options.hosts_file);
  std::shared_ptr<net::Nat64Book> nat64 = std::make_shared<net::Nat64Book>(options.nat64);
  std::shared_ptr<dns::SearchedNames> searched = std::make_shared<dns::SearchedNames>(options.search);
  std::shared_ptr<dns::UpstreamTraits> resolver_traits = std::make_shared<dns::UpstreamTraits>(
      [&written = log](const std::string& fault) { written.lifecycle("resolver", fault); });
};

// This worker's sockets; any may be empty.
struct WorkerSockets {
  base::Fd redirected;
  base::Fd explicit_proxy;
  std::vector<base::Fd> dns_udp;
  std::vector<base::Fd> dns_tcp;
  base::Fd udp{};  // of UDP endpoints
  base::Fd packet_queue;
};

class Worker {
 public:
  using Clock = std::chrono::steady_clock;
  Worker(const Shared& shared, WorkerSockets sockets, std::shared_ptr<const flow::PolicyInForce> policy);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();  // stop(0) has been called and join() has returned, or start() never was

  // One worker keeps the list of this machine's addresses, at once and from then on. Before start().
  void keep_own_addresses();
  // One worker asks for the NAT64 prefix of this network, if the machine has IPv6. Before start().
  void keep_nat64();
  void start();
  // These from any thread. `taken` is called on the worker's once the policy is in force there.
  void reload(std::shared_ptr<const flow::PolicyInForce> policy, std::uint64_t version, std::function<void()> taken);
  [[nodiscard]] std::uint64_t policy_version() const { return policy_version_.load(); }
  void stop(std::chrono::milliseconds grace);  // once
  [[nodiscard]] bool ended() const { return ended_.load(); }

  // These from the controlling thread. One question at a time: while it is not answered, no other is asked.
  void ask_for_sign(Clock::time_point now);
  [[nodiscard]] Clock::duration silent_for(Clock::time_point now) const;
  // False: it has not ended by then, and is on its own from now on.
  [[nodiscard]] bool join(Clock::time_point latest);

 private:
  // Lets the destructor end suspended flows while everything that they refer to is still there.
  class Loop : public boost::asio::io_context {
   public:
    Loop() : io_context(1) {}
    void destroy_handlers() { shutdown(); }
  };
  enum class Entrance { kRedirected, kExplicitProxy };
  class Admission;

  struct Listener {
    Listener(boost::asio::io_context& io, base::Fd listening)
        : socket(std::move(listening)), readiness(io, socket.get()) {}
    base::Fd socket;
    net::Readiness readiness;
    void close();
  };
  enum class Batch { kDrained, kFull, kNoDescriptors };

  boost::asio::awaitable<void> accept_loop(Listener& listener, Entrance entrance);
  // Accepts what is waiting.
  Batch accept_batch(int listener, Entrance entrance);
  void admit(base::Fd socket, const base::Endpoint& peer, Entrance entrance);
  [[nodiscard]] bool is_self_check(const base::Endpoint& peer) const;
  void shed(int listener);  // out of descriptors: refuse rather than leave waiting
  void finish_if_idle();
  void end_idle_connections();  // again and again until all are over

  const Shared& shared_;
  Loop loop_;
  net::DeadlineWheel wheel_;
  net::DescriptorBudget descriptors_;
  dns::Resolver resolver_;
  dns::EndpointLookups endpoint_lookups_;
  flow::Connector connector_;
  flow::Registry registry_;
  flow::PipePool pipes_;
  secrets::SecretStore secrets_;
  flow::Context context_;
  std::optional<Listener> redirected_;
  std::optional<Listener> explicit_proxy_;
  std::optional<ingress::UdpRelay> udp_;
  std::optional<dns::Server> dns_;
  std::optional<queue::PacketLog> packets_;
  std::optional<host::Watch> own_addresses_;
  boost::asio::steady_timer grace_;
  base::Fd spare_;                           // given up for a moment to be able to refuse when out of descriptors
  std::list<net::TcpStream::Watcher> open_;  // one for each connection of a client
  boost::asio::steady_timer idle_check_;
  bool stopping_ = false;
  std::atomic<std::uint64_t> policy_version_{0};
  std::atomic<std::uint64_t> signs_given_{0};
  std::uint64_t signs_asked_ = 0;
  Clock::time_point asked_at_{};
  Clock::time_point looked_at_{};
  std::atomic<bool> ended_{false};
  std::binary_semaphore end_{0};
  std::thread thread_;
};

}  // namespace soleroute::gateway::workers
