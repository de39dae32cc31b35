// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/workers/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <exception>
#include <utility>

#include "gateway/dns/nat64_discovery.h"
#include "gateway/ingress/entrances.h"
#include "gateway/netlink/local_routes.h"
#include "gateway/workers/tls_resolvers.h"
#include "policy/address_class.h"

namespace soleroute::gateway::workers {
namespace {

namespace asio = boost::asio;

constexpr int kAcceptBatch = 64;
constexpr std::chrono::milliseconds kNoDescriptorPause{100};
// What an idle connection costs, process and kernel (docs/performance.md).
constexpr std::size_t kConnectionBytes = std::size_t{8} * 1024;
constexpr std::chrono::milliseconds kIdleCheck{50};
// Of DNS, where an upstream proxy resolves names itself.
constexpr std::chrono::milliseconds kProxiedAttempt{700};
constexpr std::chrono::milliseconds kProxiedTotal{1500};

std::function<bool(const base::HostName&)> reached_by_proxy(const RuntimeOptions& options) {
  if (options.route == nullptr) return {};
  return [proxy = options.route->proxy](const base::HostName& name) { return !proxy->is_direct(name); };
}

// Where the connection was going before nftables redirected it here; nothing if it was not redirected.
std::optional<base::Endpoint> original_destination(int fd, const base::Endpoint& peer) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  const bool v4 = peer.address.is_v4();
  const int found = v4 ? ::getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, &address, &length)
                       : ::getsockopt(fd, SOL_IPV6, IP6T_SO_ORIGINAL_DST, &address, &length);
  if (found != 0) return std::nullopt;
  return base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(address));
}

dns::ResolverOptions resolver_options(const Shared& shared, asio::io_context& io, net::DeadlineWheel& wheel) {
  dns::ResolverOptions resolver;
  resolver.upstreams = shared.options.resolvers;
  resolver.mark = shared.options.upstream_mark;
  resolver.traits = shared.resolver_traits;
  const auto& inspection = shared.options.inspection;
  if (inspection) resolver.connect_tls = connect_over_tls(io, wheel, inspection->origins, resolver.mark);
  resolver.fixed = shared.fixed;
  resolver.nat64 = shared.nat64;
  if (shared.options.route) {  // where no name resolves, a client should not wait for that
    resolver.attempt_timeout = kProxiedAttempt;
    resolver.total_timeout = kProxiedTotal;
  }
  return resolver;
}

base::Fd spare_descriptor() {
  return base::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

// Counts one connection for as long as it lives.
class Worker::Admission {
 public:
  Admission(Worker& worker, net::TcpStream& stream, net::DescriptorBudget::Charge charge,
            std::shared_ptr<net::ClientBuffers> buffers)
      : worker_(worker),
        charge_(std::move(charge)),
        held_(std::move(buffers), kConnectionBytes),
        mine_(worker_.open_.emplace(worker_.open_.end())) {
    mine_->watch(&stream);
    ++worker_.shared_.counters.connections_accepted;
    ++worker_.shared_.counters.connections_open;
  }
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;
  ~Admission() {
    worker_.open_.erase(mine_);
    --worker_.shared_.counters.connections_open;
    worker_.finish_if_idle();
  }

 private:
  Worker& worker_;
  net::DescriptorBudget::Charge charge_;
  net::HeldBytes held_;
  std::list<net::TcpStream::Watcher>::iterator mine_;
};

Worker::Worker(const Shared& shared, WorkerSockets sockets, std::shared_ptr<const flow::PolicyInForce> policy)
    : shared_(shared),
      wheel_(loop_),
      descriptors_(shared.descriptors_per_worker, net::ClientKeys(shared.options.clients)),
      resolver_(loop_, resolver_options(shared, loop_, wheel_), shared.cache, shared.names, shared.counters,
                {shared.lookups, &descriptors_}),
      endpoint_lookups_(loop_, resolver_, *shared.names),
      connector_(loop_, wheel_, resolver_, *shared.names, shared.options.upstream_mark, shared.options.local_addresses,
                 &descriptors_),
      pipes_(shared.pipes_per_worker),
      secrets_(shared.options.secrets_directory),
      context_{loop_,     wheel_, resolver_,  *shared.names,   connector_,
               registry_, pipes_, shared.log, shared.counters, nullptr},
      grace_(loop_),
      spare_(spare_descriptor()),
      idle_check_(loop_) {
  if (sockets.redirected) redirected_.emplace(loop_, std::move(sockets.redirected));
  if (sockets.explicit_proxy) explicit_proxy_.emplace(loop_, std::move(sockets.explicit_proxy));
  connector_.use_host(shared.options.host);
  connector_.use(shared.options.route);
  context_.own_addresses = shared.options.own_addresses;
  context_.secrets = &secrets_;
  context_.inspection = shared.options.inspection;
  context_.denials = &shared.denials;
  context_.endpoint_lookups = &endpoint_lookups_;
  context_.held = shared.options.held.get();
  context_.use(std::move(policy));
  descriptors_.tell_agents_apart(
      [this](const base::IpAddress& client) { return context_.in_force->policy()->for_client(client).agent_name(); });
  const auto snapshot = [this] { return context_.in_force->policy(); };
  const auto policy_for = [this](const base::IpAddress& client) { return context_.policy_for(client); };
  dns_.emplace(loop_,
               dns::ServerOptions{shared.options.own_addresses, policy_for,
                                  [this](const base::IpAddress& client) { return !context_.proves_agent(client); },
                                  shared.options.local_addresses, &descriptors_, shared.own_addresses,
                                  shared.options.denied, shared.searched, reached_by_proxy(shared.options)},
               std::move(sockets.dns_udp), std::move(sockets.dns_tcp), resolver_, shared.names, shared.log,
               shared.counters);
  if (sockets.udp && shared.tracked) {
    udp_.emplace(context_, std::move(sockets.udp), shared.tracked, shared.options.upstream_mark);
  }
  if (!sockets.packet_queue) return;
  packets_.emplace(loop_, std::move(sockets.packet_queue), queue::kPacketQueue, snapshot, shared.names, shared.log,
                   shared.counters);
}

Worker::~Worker() {
  loop_.destroy_handlers();
}

// What cannot be read leaves what was known: a dial asks the kernel itself, and the next look comes soon.
void Worker::keep_own_addresses() {
  const auto read = [list = shared_.own_addresses] {
    auto prefixes = netlink::list_local_routes();
    if (prefixes) list->set(std::make_shared<const net::OwnAddresses>(std::move(*prefixes)));
  };
  own_addresses_.emplace(loop_, read);
  const auto watching = own_addresses_->start(netlink::Changes::About::kAddressesAndRoutes);
  if (!watching) shared_.log.error("new addresses of this machine are noticed every 2 s: " + watching.error().message);
  read();
}

void Worker::keep_nat64() {
  const auto is_global = [](const base::IpAddress& address) {
    return address.is_v6() && !policy::is_never_suggested(address);
  };
  if (std::ranges::none_of(shared_.options.local_addresses, is_global)) return;
  auto news = [&shared = shared_] {
    for (const auto& prefix : shared.nat64->now()->discovered) {
      shared.log.lifecycle("nat64", fmt::format("this network's NAT64 prefix is {}", prefix.range().to_string()));
    }
  };
  auto discovering = dns::discover_nat64(loop_, resolver_, shared_.nat64, std::move(news));
  asio::co_spawn(loop_, std::move(discovering), [](const std::exception_ptr&) {});
}

void Worker::start() {
  const auto rethrow = [](const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);  // an accept loop must not end quietly
  };
  if (redirected_) asio::co_spawn(loop_, accept_loop(*redirected_, Entrance::kRedirected), rethrow);
  if (explicit_proxy_) asio::co_spawn(loop_, accept_loop(*explicit_proxy_, Entrance::kExplicitProxy), rethrow);
  dns_->start();
  if (udp_) udp_->start();
  if (packets_) packets_->start();
  // Signals are the controlling thread's: workers block them all.
  sigset_t all{};
  sigset_t before{};
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "worker");
    loop_.run();
    ended_ = true;
    end_.release();
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Worker::reload(std::shared_ptr<const flow::PolicyInForce> policy, std::uint64_t version,
                    std::function<void()> taken) {
  asio::post(loop_, [this, policy = std::move(policy), version, taken = std::move(taken)] {
    context_.use(policy);
    registry_.apply(*policy->policy());
    if (udp_) udp_->apply(*policy->policy());
    if (context_.held != nullptr) context_.held->wake(loop_);
    policy_version_ = version;
    taken();
  });
}

void Worker::ask_for_sign(Clock::time_point now) {
  // Asked late, the controlling thread was not there either: the machine, or the whole process, slept.
  const bool slept = now - std::exchange(looked_at_, now) >= Runtime::kStalled;
  const bool answered = signs_given_.load() == signs_asked_;
  if (answered || slept) asked_at_ = now;
  if (!answered) return;
  ++signs_asked_;
  asio::post(loop_, [this] { ++signs_given_; });
}

Worker::Clock::duration Worker::silent_for(Clock::time_point now) const {
  return signs_given_.load() == signs_asked_ ? Clock::duration::zero() : now - asked_at_;
}

void Worker::stop(std::chrono::milliseconds grace) {
  asio::post(loop_, [this, grace] {
    stopping_ = true;
    if (redirected_) redirected_->close();
    if (explicit_proxy_) explicit_proxy_->close();
    if (udp_) udp_->stop();
    grace_.expires_after(grace);
    grace_.async_wait([this](const boost::system::error_code& error) {
      if (!error) loop_.stop();
    });
    end_idle_connections();
    finish_if_idle();
  });
}

void Worker::finish_if_idle() {
  if (stopping_ && open_.empty()) loop_.stop();
}

void Worker::end_idle_connections() {
  for (const auto& connection : open_) {
    net::TcpStream* const stream = connection.stream();
    if (stream != nullptr && stream->is_idle()) stream->close();
  }
  idle_check_.expires_after(kIdleCheck);
  idle_check_.async_wait([this](const boost::system::error_code& error) {
    if (!error) end_idle_connections();
  });
}

bool Worker::join(Clock::time_point latest) {
  if (!thread_.joinable()) return true;
  if (!end_.try_acquire_until(latest)) {
    thread_.detach();
    return false;
  }
  thread_.join();
  return true;
}

void Worker::Listener::close() {
  readiness.forget();
  socket.reset();
}

asio::awaitable<void> Worker::accept_loop(Listener& listener, Entrance entrance) {
  asio::steady_timer pause(loop_);
  while (listener.socket) {
    const Batch batch = accept_batch(listener.socket.get(), entrance);
    if (batch == Batch::kDrained) {
      const int error = co_await listener.readiness.wait(net::Readiness::For::kReading);
      if (error != 0) co_return;
    } else if (batch == Batch::kFull) {
      co_await asio::post(loop_, asio::use_awaitable);  // others have their turn
    } else {
      pause.expires_after(kNoDescriptorPause);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (stopping_) co_return;
  }
}

Worker::Batch Worker::accept_batch(int listener, Entrance entrance) {
  for (int i = 0; i < kAcceptBatch; ++i) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    base::Fd socket(::accept4(listener, reinterpret_cast<sockaddr*>(&address), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      admit(std::move(socket), base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(address)), entrance);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      shed(listener);
      return Batch::kNoDescriptors;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Batch::kDrained;
  }
  return Batch::kFull;
}

void Worker::shed(int listener) {
  spare_.reset();
  int refused = 0;
  while (refused < kAcceptBatch) {
    const base::Fd unwanted(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!unwanted) break;
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(unwanted.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ++refused;
  }
  spare_ = spare_descriptor();
  if (shared_.counters.connections_refused.fetch_add(static_cast<std::uint64_t>(refused)) % 1024 == 0) {
    shared_.log.error("out of file descriptors: new connections are refused. Raise the limit (ulimit -n)");
  }
}

bool Worker::is_self_check(const base::Endpoint& peer) const {
  const auto port = shared_.self_check_port.load();
  return port != 0 && peer.port == port && peer.address.unmapped() == base::IpAddress::v4({127, 0, 0, 1});
}

void Worker::admit(base::Fd socket, const base::Endpoint& peer, Entrance entrance) {
  auto buffers = shared_.buffers->of(descriptors_.key(peer.address));
  std::optional<base::Endpoint> destination = peer;
  if (entrance == Entrance::kRedirected) destination = original_destination(socket.get(), peer);
  auto charge = descriptors_.connection(peer.address);
  if (!charge || !destination || !net::has_room(buffers)) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ++shared_.counters.connections_refused;
    return;
  }
  auto stream = std::make_unique<net::TcpStream>(loop_, wheel_, std::move(socket));
  stream->account_to(buffers);
  auto admission = std::make_unique<Admission>(*this, *stream, std::move(*charge), std::move(buffers));
  flow::ClientConnection client{std::move(stream), peer, *destination, is_self_check(peer)};
  auto flow = entrance == Entrance::kRedirected ? ingress::serve_redirected(context_, std::move(client))
                                                : ingress::serve_explicit_proxy(context_, std::move(client));
  auto ended = [this, admission = std::move(admission)](const std::exception_ptr& error) {
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& caught) {  // out of memory, or a defect: this flow is gone, the others go on
      shared_.log.error(std::string("a connection was dropped: ") + caught.what());
    }
  };
  asio::co_spawn(loop_, std::move(flow), std::move(ended));
}

}  // namespace soleroute::gateway::workers
