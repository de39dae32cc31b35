// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/ingress/udp_relay.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <exception>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gateway/audit/decision_record.h"
#include "gateway/dns/datagram.h"
#include "gateway/dns/token_bucket.h"
#include "gateway/flow/connector.h"
#include "gateway/ingress/udp_query.h"
#include "gateway/net/descriptor_budget.h"
#include "gateway/net/dial_socket.h"
#include "gateway/net/listen.h"
#include "gateway/net/readiness.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLargestDatagram = 65536;
constexpr int kBatch = 64;  // datagrams before others get their turn
constexpr std::chrono::seconds kSweep{5};
// Connection tracking forgets a silent flow after 30 s at the earliest, and may then give its numbers to another.
constexpr std::chrono::seconds kAskAgain{2};
constexpr std::size_t kMaxClients = 1024;  // whose new flows are counted

constexpr const char* kUnproved = "a datagram over IPv6 does not prove which agent sent it";

void end_quietly(const std::exception_ptr& /*the flow is over*/) {}

base::Endpoint peer_of(const dns::DatagramOrigin& origin) {
  auto peer = base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(origin.peer));
  peer.address = peer.address.unmapped();
  return peer;
}

// One client and one destination.
struct Flow {
  Flow(asio::io_context& io, dns::DatagramOrigin origin, UdpQuery about, base::Fd to)
      : client(origin), query(std::move(about)), socket(std::move(to)) {
    if (socket) readiness.emplace(io, socket.get());
  }
  ~Flow() { end(); }
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  void end() {
    if (readiness) readiness->forget();  // it stays for the one who waits
    socket.reset();
  }
  [[nodiscard]] bool is_over(Clock::time_point now) const {
    return now - last >= (socket ? std::chrono::seconds(UdpRelay::kIdle) : UdpRelay::kRefused);
  }

  dns::DatagramOrigin client;  // whom answers go to, and the address that they come from
  UdpQuery query;
  base::Fd socket;  // none: refused
  std::optional<net::Readiness> readiness{};
  net::DescriptorBudget::Charge charge{};
  dns::TokenBucket pace{UdpRelay::kDatagramsBurst, UdpRelay::kDatagramsRate};
  Clock::time_point last{};   // datagram
  Clock::time_point asked{};  // connection tracking
};

}  // namespace

struct UdpRelay::State : std::enable_shared_from_this<UdpRelay::State> {
  State(flow::Context& of_worker, base::Fd listener, std::shared_ptr<netlink::Conntrack> tracked_by,
        std::uint32_t mark_of_ours)
      : context(of_worker),
        socket(std::move(listener)),
        readiness(of_worker.io, socket.get()),
        tracked(std::move(tracked_by)),
        mark(mark_of_ours),
        sweep(of_worker.io),
        port(net::local_port(socket).value_or(0)),
        buffer(kLargestDatagram) {}

  static asio::awaitable<void> receive(std::shared_ptr<State> self);
  static asio::awaitable<void> answer(std::shared_ptr<State> self, std::shared_ptr<Flow> flow);
  bool take_batch();  // false: nothing is left
  void take(const dns::DatagramOrigin& origin, std::span<std::byte> bytes);
  [[nodiscard]] std::shared_ptr<Flow> flow_of(const dns::DatagramOrigin& origin, Clock::time_point now);
  [[nodiscard]] std::shared_ptr<Flow> make_flow(const dns::DatagramOrigin& origin, const base::Endpoint& peer,
                                                const base::Endpoint& destination);
  [[nodiscard]] bool may_begin(const base::IpAddress& client, Clock::time_point now);
  void sweep_later();
  void remove_over(Clock::time_point now);

  flow::Context& context;
  base::Fd socket;
  net::Readiness readiness;
  std::shared_ptr<netlink::Conntrack> tracked;
  std::uint32_t mark;
  asio::steady_timer sweep;
  std::uint16_t port;
  std::vector<std::byte> buffer;                                 // of one receive call at a time: nothing in it is kept
  std::unordered_map<std::string, std::shared_ptr<Flow>> flows;  // by client and the address that it was redirected to
  std::unordered_map<base::IpAddress, dns::TokenBucket> begun;
  bool stopped = false;
};

asio::awaitable<void> UdpRelay::State::receive(std::shared_ptr<State> self) {
  while (!self->stopped) {
    if (self->take_batch()) {
      co_await asio::post(self->context.io, asio::use_awaitable);
    } else if (co_await self->readiness.wait(net::Readiness::For::kReading) != 0) {
      co_return;
    }
  }
}

bool UdpRelay::State::take_batch() {
  for (int i = 0; i < kBatch; ++i) {
    const auto datagram = dns::receive_datagram(socket.get(), buffer);
    if (!datagram) return false;
    if (datagram->size <= buffer.size()) take(datagram->origin, std::span(buffer).first(datagram->size));
  }
  return true;
}

void UdpRelay::State::take(const dns::DatagramOrigin& origin, std::span<std::byte> bytes) {
  const auto now = Clock::now();
  const auto flow = flow_of(origin, now);
  if (!flow) return;
  const bool refused = !flow->socket;
  if (refused) return;  // its time runs from the refusal on
  flow->last = now;
  if (!flow->pace.take(now)) return;
  (void)::send(flow->socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::shared_ptr<Flow> UdpRelay::State::flow_of(const dns::DatagramOrigin& origin, Clock::time_point now) {
  if (!origin.local) return nullptr;
  const base::Endpoint peer = peer_of(origin);
  const base::Endpoint local{origin.local->unmapped(), port};
  const std::string key = peer.to_string() + " " + local.address.to_string();
  const auto known = flows.find(key);
  if (known != flows.end() && !known->second->is_over(now) &&
      now - std::max(known->second->last, known->second->asked) < kAskAgain) {
    return known->second;
  }
  if (known == flows.end() && !may_begin(peer.address, now)) return nullptr;  // before the kernel is asked
  const auto destination = tracked->original_destination(peer, local);
  if (known != flows.end()) {
    const bool same = destination && known->second->query.destination == *destination;
    if (same && !known->second->is_over(now)) {
      known->second->asked = now;
      return known->second;
    }
    known->second->end();
    flows.erase(known);
    if (!may_begin(peer.address, now)) return nullptr;
  }
  if (!destination) return nullptr;
  if (flows.size() >= kMaxFlows) remove_over(now);
  if (flows.size() >= kMaxFlows) return nullptr;
  auto made = make_flow(origin, peer, *destination);
  made->last = now;
  flows.emplace(key, made);
  if (!made->socket) return made;
  auto answering = answer(shared_from_this(), made);
  asio::co_spawn(context.io, std::move(answering), end_quietly);
  return made;
}

// Decides and logs it, whatever comes of it.
std::shared_ptr<Flow> UdpRelay::State::make_flow(const dns::DatagramOrigin& origin, const base::Endpoint& peer,
                                                 const base::Endpoint& destination) {
  const auto snapshot = context.policy_for(peer.address);  // the decision borrows from it
  UdpQuery query = udp_query(context, peer.address, destination);
  auto decision = query.ask(*snapshot);
  auto dialled = to_dial(context, query, decision);
  if (dialled && !context.proves_agent(peer.address))
    dialled = flow::dial_failed(policy::Reason::kEndpointNotAllowed, kUnproved);
  base::Fd to;
  std::optional<net::DescriptorBudget::Charge> charge(std::in_place);
  if (dialled) {
    auto* budget = context.connector.descriptors();
    if (budget != nullptr) charge = budget->descriptors(peer.address);
    auto opened = charge ? net::connect_udp(*dialled, mark) : base::system_error("this client has too many flows open");
    if (opened) to = std::move(*opened);
    if (!opened) dialled = flow::dial_failed(policy::Reason::kUpstreamFailed, opened.error().message);
  }
  auto record = audit::record_of(query.facts(), decision);
  record.detail = "udp";
  record.host = std::string(query.name_of(context, decision));
  if (!dialled && decision.allowed()) {
    record.allowed = false;
    record.reason = policy::to_string(dialled.error().reason);
    record.detail += ", " + dialled.error().message;
  }
  audit::write(context.log, context.counters, record);
  auto flow = std::make_shared<Flow>(context.io, origin, std::move(query), std::move(to));
  if (flow->socket) flow->charge = std::move(*charge);
  return flow;
}

bool UdpRelay::State::may_begin(const base::IpAddress& client, Clock::time_point now) {
  auto* budget = context.connector.descriptors();
  const base::IpAddress key = budget == nullptr ? client : budget->key(client);
  if (begun.size() >= kMaxClients && !begun.contains(key)) begun.clear();
  return begun.try_emplace(key, kNewFlowsBurst, kNewFlowsRate).first->second.take(now);
}

asio::awaitable<void> UdpRelay::State::answer(std::shared_ptr<State> self, std::shared_ptr<Flow> flow) {
  for (int taken = 0; !self->stopped && flow->socket; ++taken) {
    if (taken == kBatch) {
      taken = 0;
      co_await asio::post(self->context.io, asio::use_awaitable);
      if (self->stopped || !flow->socket) co_return;
    }
    const ssize_t size = ::recv(flow->socket.get(), self->buffer.data(), self->buffer.size(), MSG_DONTWAIT);
    if (size >= 0) {
      flow->last = Clock::now();
      const auto whole = std::span(self->buffer).first(static_cast<std::size_t>(size));
      dns::send_datagram(self->socket.get(), flow->client, whole);
      continue;
    }
    const bool drained = errno == EAGAIN || errno == EWOULDBLOCK;
    // Anything else is what the destination's host told of an earlier datagram: told once.
    if (drained && co_await flow->readiness->wait(net::Readiness::For::kReading) != 0) co_return;
  }
}

void UdpRelay::State::remove_over(Clock::time_point now) {
  std::erase_if(flows, [&](const auto& each) {
    if (!each.second->is_over(now)) return false;
    each.second->end();
    return true;
  });
}

void UdpRelay::State::sweep_later() {
  sweep.expires_after(kSweep);
  sweep.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self) return;
    self->remove_over(Clock::now());
    self->sweep_later();
  });
}

UdpRelay::UdpRelay(flow::Context& context, base::Fd socket, std::shared_ptr<netlink::Conntrack> tracked,
                   std::uint32_t mark)
    : state_(std::make_shared<State>(context, std::move(socket), std::move(tracked), mark)) {}

UdpRelay::~UdpRelay() {
  stop();
}

void UdpRelay::start() {
  auto receiving = State::receive(state_);
  asio::co_spawn(state_->context.io, std::move(receiving), end_quietly);
  state_->sweep_later();
}

void UdpRelay::stop() {
  if (std::exchange(state_->stopped, true)) return;
  state_->sweep.cancel();
  state_->readiness.forget();
  state_->socket.reset();
  for (auto& [key, flow] : state_->flows) flow->end();
  state_->flows.clear();
}

void UdpRelay::apply(const policy::Policy& policy) {
  std::erase_if(state_->flows, [&](const auto& each) {
    const bool proved = state_->context.proves_agent(each.second->query.client);
    const bool stays = each.second->socket && proved && each.second->query.ask(policy).allowed();
    if (!stays) each.second->end();  // a refused one is decided again
    return !stays;
  });
}

}  // namespace soleroute::gateway::ingress
