// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/tcp_service.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <deque>
#include <exception>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gateway/dns/await.h"
#include "gateway/net/deadline_wheel.h"
#include "gateway/net/stream.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::dns {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kNoDescriptorPause{100};
constexpr std::size_t kReadChunk = 2048;
constexpr std::size_t kHeaderBytes = 12;
constexpr int kAcceptBatch = 32;

}  // namespace

struct TcpService::State : std::enable_shared_from_this<TcpService::State> {
  State(asio::io_context& loop, Handler answer, net::DescriptorBudget* budget)
      : io(loop), wheel(loop), handler(std::move(answer)), descriptors(budget), pause(loop) {}

  asio::io_context& io;
  net::DeadlineWheel wheel;
  Handler handler;
  net::DescriptorBudget* descriptors;
  asio::steady_timer pause;  // out of descriptors
  std::vector<std::unique_ptr<asio::posix::stream_descriptor>> listeners;
  std::unordered_map<Session*, std::weak_ptr<Session>> sessions;
  std::unordered_map<base::IpAddress, std::size_t> per_client;
  bool stopped = false;

  enum class Accepted : std::uint8_t { kAll, kOutOfDescriptors };
  Accepted accept_batch(int listener);
  void open_session(base::Fd socket, const base::IpAddress& client);
};

// One connection. Alive as long as it reads, writes, or a reply is due.
class TcpService::Session : public std::enable_shared_from_this<TcpService::Session> {
 public:
  Session(std::shared_ptr<State> state, base::Fd socket, const base::IpAddress& client, const base::IpAddress& key,
          net::DescriptorBudget::Charge charge)
      : charge_(std::move(charge)),
        state_(std::move(state)),
        stream_(state_->io, state_->wheel, std::move(socket)),
        room_(state_->io),
        client_(client),
        key_(key) {
    ++state_->per_client[key_];
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    state_->sessions.erase(this);
    const auto count = state_->per_client.find(key_);
    if (--count->second == 0) state_->per_client.erase(count);
  }

  static asio::awaitable<void> read(std::shared_ptr<Session> self);
  void close() {
    stream_.close();
    room_.cancel();
  }

 private:
  static asio::awaitable<void> write(std::shared_ptr<Session> self);
  enum class Client : std::uint8_t { kSound, kNotOfDns };
  Client take_questions();
  void ask(base::Bytes question);
  void reply(Message message);
  [[nodiscard]] bool full() const { return under_way_ >= kMaxUnderWay || unread_ >= kMaxUnread; }
  [[nodiscard]] bool has_question() const;

  net::DescriptorBudget::Charge charge_;
  std::shared_ptr<State> state_;
  net::TcpStream stream_;
  asio::steady_timer room_;  // cancelled when a question or a reply is done
  base::IpAddress client_;
  base::IpAddress key_;
  std::vector<std::byte> received_;
  std::deque<Message> replies_;
  std::size_t under_way_ = 0;
  std::size_t unread_ = 0;
  bool writing_ = false;
};

bool TcpService::Session::has_question() const {
  if (received_.size() < sniffer::kTcpLengthPrefix) return false;
  const auto length = std::to_integer<std::size_t>(received_[0]) << 8U | std::to_integer<std::size_t>(received_[1]);
  return received_.size() >= sniffer::kTcpLengthPrefix + length;
}

TcpService::Session::Client TcpService::Session::take_questions() {
  std::size_t used = 0;
  bool sane = true;
  while (!full() && received_.size() - used >= sniffer::kTcpLengthPrefix) {
    const auto* at = received_.data() + used;
    const auto length = std::to_integer<std::size_t>(at[0]) << 8U | std::to_integer<std::size_t>(at[1]);
    sane = length >= kHeaderBytes && length <= kMaxQuestionBytes;
    if (!sane || received_.size() - used < sniffer::kTcpLengthPrefix + length) break;
    ask({at + sniffer::kTcpLengthPrefix, length});
    used += sniffer::kTcpLengthPrefix + length;
  }
  received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(used));
  return sane ? Client::kSound : Client::kNotOfDns;
}

void TcpService::Session::ask(base::Bytes question) {
  ++under_way_;
  state_->handler(question, client_, [self = shared_from_this()](Message message) { self->reply(std::move(message)); });
}

void TcpService::Session::reply(Message message) {
  --under_way_;
  room_.cancel();
  if (message.empty() || !stream_.is_open()) return;
  Message framed{static_cast<std::byte>(message.size() >> 8U), static_cast<std::byte>(message.size())};
  framed.insert(framed.end(), message.begin(), message.end());
  unread_ += framed.size();
  replies_.push_back(std::move(framed));
  if (std::exchange(writing_, true)) return;
  auto writing = write(shared_from_this());
  asio::co_spawn(state_->io, std::move(writing), kIgnore);
}

asio::awaitable<void> TcpService::Session::write(std::shared_ptr<Session> self) {
  while (!self->replies_.empty()) {
    const Message message = std::move(self->replies_.front());
    self->replies_.pop_front();
    const auto written = co_await self->stream_.write_all(message);
    self->unread_ -= message.size();
    self->room_.cancel();
    if (!written) {
      self->close();
      co_return;
    }
    self->stream_.expires_after(kIdle);
  }
  self->writing_ = false;
}

asio::awaitable<void> TcpService::Session::read(std::shared_ptr<Session> self) {
  std::vector<std::byte> chunk(kReadChunk);
  self->stream_.expires_after(kIdle);
  int reads = 0;
  while (self->stream_.is_open()) {
    if (self->take_questions() == Client::kNotOfDns) break;
    // Questions that the cache answers make nothing wait.
    if (++reads % kReadsInATurn == 0) co_await asio::post(self->state_->io, asio::use_awaitable);
    if (self->full() && self->has_question()) {
      self->room_.expires_after(kIdle);
      const auto [room] = co_await self->room_.async_wait(kAwait);
      if (!room) break;
      continue;
    }
    const auto count = co_await self->stream_.read_some(chunk);
    if (!count || *count == 0) break;
    self->stream_.expires_after(kIdle);
    self->received_.insert(self->received_.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(*count));
  }
  // What is still under way is answered to a client that only closed its sending half.
  const bool finished = self->under_way_ == 0 && self->replies_.empty() && !self->writing_;
  if (finished || self->stream_.timed_out()) self->close();
}

void TcpService::State::open_session(base::Fd socket, const base::IpAddress& client) {
  if (sessions.size() >= kMaxConnections) return;
  const auto key = descriptors == nullptr ? client.unmapped() : descriptors->key(client);
  const auto count = per_client.find(key);
  if (count != per_client.end() && count->second >= kMaxPerClient) return;
  net::DescriptorBudget::Charge charge;
  if (descriptors != nullptr) {
    auto taken = descriptors->descriptors(client);
    if (!taken) return;
    charge = std::move(*taken);
  }
  const auto session = std::make_shared<Session>(shared_from_this(), std::move(socket), client, key, std::move(charge));
  sessions.emplace(session.get(), session);
  auto reading = Session::read(session);
  asio::co_spawn(io, std::move(reading), kIgnore);
}

TcpService::State::Accepted TcpService::State::accept_batch(int listener) {
  for (int i = 0; i < kAcceptBatch; ++i) {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    base::Fd socket(::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      const bool out = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      return out ? Accepted::kOutOfDescriptors : Accepted::kAll;
    }
    open_session(std::move(socket), base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(peer)).address);
  }
  return Accepted::kAll;
}

namespace {

template <class State>
asio::awaitable<void> accept_loop(std::shared_ptr<State> state, asio::posix::stream_descriptor& listener) {
  while (!state->stopped) {
    const auto [error] = co_await listener.async_wait(asio::posix::stream_descriptor::wait_read, kAwait);
    if (error) co_return;
    if (state->accept_batch(listener.native_handle()) == State::Accepted::kAll) continue;
    state->pause.expires_after(kNoDescriptorPause);
    (void)co_await state->pause.async_wait(kAwait);
  }
}

}  // namespace

TcpService::TcpService(asio::io_context& io, Handler handler, net::DescriptorBudget* descriptors)
    : state_(std::make_shared<State>(io, std::move(handler), descriptors)) {}

TcpService::~TcpService() {
  stop();
}

void TcpService::serve(base::Fd listener) {
  boost::system::error_code error;
  auto descriptor = std::make_unique<asio::posix::stream_descriptor>(state_->io);
  (void)descriptor->assign(listener.get(), error);
  if (error) return;
  (void)listener.release();
  auto accepting = accept_loop(state_, *descriptor);
  state_->listeners.push_back(std::move(descriptor));
  asio::co_spawn(state_->io, std::move(accepting), kIgnore);
}

void TcpService::stop() {
  if (std::exchange(state_->stopped, true)) return;
  boost::system::error_code ignored;
  for (auto& listener : state_->listeners) (void)listener->close(ignored);
  state_->pause.cancel();
  const auto sessions = state_->sessions;
  for (const auto& [raw, weak] : sessions) {
    if (const auto session = weak.lock()) session->close();
  }
}

std::size_t TcpService::connections() const {
  return state_->sessions.size();
}

}  // namespace soleroute::gateway::dns
