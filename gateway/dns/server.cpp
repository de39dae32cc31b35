// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "gateway/dns/await.h"
#include "gateway/dns/datagram.h"
#include "gateway/dns/responder.h"
#include "gateway/dns/tcp_service.h"

namespace soleroute::gateway::dns {
namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

constexpr std::size_t kQuestionBuffer = 4096;  // no question is longer; cut ones are malformed
constexpr int kReceiveBuffer = 1 << 20;        // bytes: one client's burst must not crowd out the others' questions
constexpr int kBatch = 64;                     // datagrams before others get their turn

// As much as the system grants: without privilege at most net.core.rmem_max.
void widen_receive_buffer(int socket) {
  const int size = kReceiveBuffer;
  if (::setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) == 0) return;
  (void)::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

}  // namespace

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(asio::io_context& loop, ServerOptions options, Resolver& upstream, std::shared_ptr<ReverseNames> names,
        audit::DecisionLog& log, audit::Counters& counters)
      : io(loop),
        resolver(upstream),
        descriptors(options.descriptors),
        denials(loop, log),
        responder(std::move(options), upstream, std::move(names), denials, log, counters) {}

  asio::io_context& io;
  Resolver& resolver;
  net::DescriptorBudget* descriptors;
  DenialLog denials;
  Responder responder;
  std::vector<base::Fd> listeners;  // until start()
  std::vector<std::shared_ptr<Descriptor>> udp;
  std::unique_ptr<TcpService> tcp;
  bool stopped = false;

  using Send = std::function<void(Message)>;
  // Sends exactly one reply, now or when upstream has answered; an empty one if none is due.
  void answer(base::Bytes message, const base::IpAddress& client, policy::Transport transport, Send send);
  static asio::awaitable<void> look_up(std::shared_ptr<State> self, std::shared_ptr<const PendingLookup> question,
                                       base::IpAddress key, Send send);
  static asio::awaitable<void> receive(std::shared_ptr<State> self, std::shared_ptr<Descriptor> socket);
  void take_batch(const std::shared_ptr<Descriptor>& socket, std::vector<std::byte>& buffer);
};

void Server::State::answer(base::Bytes message, const base::IpAddress& client, policy::Transport transport, Send send) {
  auto outcome = responder.begin(message, client, transport);
  if (auto* reply = std::get_if<Message>(&outcome)) return send(std::move(*reply));
  auto& question = *std::get_if<PendingLookup>(&outcome);
  const auto key = resolver.key(client);
  const auto verdict = resolver.admit(key);
  if (verdict != ClientLimits::Verdict::kAdmitted) return send(responder.overloaded(question, to_string(verdict)));
  auto looking =
      look_up(shared_from_this(), std::make_shared<const PendingLookup>(std::move(question)), key, std::move(send));
  asio::co_spawn(io, std::move(looking), kIgnore);
}

asio::awaitable<void> Server::State::look_up(std::shared_ptr<State> self, std::shared_ptr<const PendingLookup> question,
                                             base::IpAddress key, Send send) {
  auto found = co_await self->resolver.lookup(question->name, question->query.question.type, question->client);
  self->resolver.done(key);
  if (self->stopped) co_return;
  send(self->responder.finish(*question, found));
}

void Server::State::take_batch(const std::shared_ptr<Descriptor>& socket, std::vector<std::byte>& buffer) {
  for (int i = 0; i < kBatch && socket->is_open(); ++i) {
    const auto datagram = receive_datagram(socket->native_handle(), buffer);
    if (!datagram) return;
    const auto& origin = datagram->origin;
    const auto size = std::min(datagram->size, buffer.size());
    answer(std::span(buffer).first(size), origin.client(), policy::Transport::kUdp, [socket, origin](Message reply) {
      if (!reply.empty() && socket->is_open()) send_datagram(socket->native_handle(), origin, reply);
    });
  }
}

asio::awaitable<void> Server::State::receive(std::shared_ptr<State> self, std::shared_ptr<Descriptor> socket) {
  std::vector<std::byte> buffer(kQuestionBuffer);
  while (!self->stopped) {
    const auto [error] = co_await socket->async_wait(Descriptor::wait_read, kAwait);
    if (error) co_return;
    self->take_batch(socket, buffer);
  }
}

Server::Server(asio::io_context& io, ServerOptions options, std::vector<base::Fd> udp, std::vector<base::Fd> tcp,
               Resolver& resolver, std::shared_ptr<ReverseNames> names, audit::DecisionLog& log,
               audit::Counters& counters)
    : state_(std::make_shared<State>(io, std::move(options), resolver, std::move(names), log, counters)) {
  for (auto& socket : udp) {
    boost::system::error_code error;
    auto descriptor = std::make_shared<Descriptor>(io);
    (void)descriptor->assign(socket.get(), error);
    if (error) continue;
    widen_receive_buffer(socket.release());
    state_->udp.push_back(std::move(descriptor));
  }
  state_->listeners = std::move(tcp);
}

Server::~Server() {
  stop();
}

void Server::start() {
  for (const auto& socket : state_->udp) {
    auto receiving = State::receive(state_, socket);
    asio::co_spawn(state_->io, std::move(receiving), kIgnore);
  }
  const std::weak_ptr<State> weak = state_;
  auto answer = [weak](base::Bytes question, const base::IpAddress& client, TcpService::Reply reply) {
    const auto state = weak.lock();
    if (!state) return reply({});
    state->answer(question, client, policy::Transport::kTcp, std::move(reply));
  };
  state_->tcp = std::make_unique<TcpService>(state_->io, std::move(answer), state_->descriptors);
  for (auto& listener : state_->listeners) state_->tcp->serve(std::move(listener));
  state_->listeners.clear();
}

void Server::stop() {
  if (std::exchange(state_->stopped, true)) return;
  boost::system::error_code ignored;
  for (const auto& socket : state_->udp) (void)socket->close(ignored);
  if (state_->tcp) state_->tcp->stop();
  state_->denials.stop();
}

}  // namespace soleroute::gateway::dns
