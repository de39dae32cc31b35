// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/queue/packet_log.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "gateway/audit/probe.h"
#include "gateway/dns/denial_log.h"
#include "gateway/queue/nfqueue.h"
#include "gateway/queue/packet_record.h"

namespace soleroute::gateway::queue {
namespace {

namespace asio = boost::asio;
using Descriptor = asio::posix::stream_descriptor;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr int kBatch = 64;  // packets before others get their turn
constexpr std::chrono::milliseconds kAfterFault{100};

}  // namespace

struct PacketLog::State {
  State(asio::io_context& loop, base::Fd queue, std::uint16_t queue_number,
        std::function<std::shared_ptr<const policy::Policy>()> snapshot,
        std::shared_ptr<dns::ReverseNames> reverse_names, audit::DecisionLog& decisions, audit::Counters& counts)
      : io(loop),
        socket(loop),
        pause(loop),
        number(queue_number),
        policy(std::move(snapshot)),
        names(std::move(reverse_names)),
        log(decisions),
        denials(loop, decisions),
        counters(counts) {
    boost::system::error_code error;
    (void)socket.assign(queue.get(), error);
    if (!error) (void)queue.release();
  }

  static asio::awaitable<void> receive(std::shared_ptr<State> self);
  enum class Socket : std::uint8_t { kSound, kAtFault };
  Socket take_batch(std::vector<std::byte>& buffer);
  void accept(std::uint32_t last_id);
  void record(base::Bytes packet, const policy::Policy& snapshot);

  asio::io_context& io;
  Descriptor socket;
  asio::steady_timer pause;
  std::uint16_t number;
  std::function<std::shared_ptr<const policy::Policy>()> policy;
  std::shared_ptr<dns::ReverseNames> names;
  audit::DecisionLog& log;
  dns::DenialLog denials;
  audit::Counters& counters;
  bool complained = false;
  bool stopped = false;
};

void PacketLog::State::record(base::Bytes packet, const policy::Policy& snapshot) {
  const auto refused = record_of_packet(packet, snapshot, *names);
  audit::count_decision(counters, refused);
  const bool written = denials.write(refused) == dns::RepeatFilter::Verdict::kWriteNow;
  ++(written ? counters.packets_logged : counters.packets_suppressed);
}

void PacketLog::State::accept(std::uint32_t last_id) {
  const auto verdict = accept_up_to(number, last_id);
  if (::send(socket.native_handle(), verdict.data(), verdict.size(), MSG_DONTWAIT) >= 0) return;
  if (std::exchange(complained, true)) return;
  log.error(
      fmt::format("packet queue {}: cannot release packets: {}; refused flows time out instead of failing at once",
                  number, std::generic_category().message(errno)));
}

PacketLog::State::Socket PacketLog::State::take_batch(std::vector<std::byte>& buffer) {
  const auto snapshot = policy();
  for (int i = 0; i < kBatch; ++i) {
    const ssize_t size = ::recv(socket.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    // ENOBUFS: messages were lost, the packets went on; the next verdict releases what is still held.
    if (size < 0 && (errno == ENOBUFS || errno == EINTR)) continue;
    if (size < 0) return errno == EAGAIN ? Socket::kSound : Socket::kAtFault;
    std::optional<std::uint32_t> last;
    std::vector<base::Bytes> packets;
    const auto visit = [&](std::uint32_t id, base::Bytes packet) {
      last = id;
      packets.push_back(packet);
    };
    (void)each_packet(std::span(buffer).first(static_cast<std::size_t>(size)), visit);
    if (last) accept(*last);  // the client's refusal first, its record after
    for (const auto& packet : packets) record(packet, *snapshot);
  }
  return Socket::kSound;
}

asio::awaitable<void> PacketLog::State::receive(std::shared_ptr<State> self) {
  std::vector<std::byte> buffer(kMessageBuffer);
  while (!self->stopped) {
    const auto [error] = co_await self->socket.async_wait(Descriptor::wait_read, kAwait);
    if (error) co_return;
    if (self->take_batch(buffer) == Socket::kSound) continue;
    self->pause.expires_after(kAfterFault);
    (void)co_await self->pause.async_wait(kAwait);
  }
}

PacketLog::PacketLog(asio::io_context& io, base::Fd queue, std::uint16_t number,
                     std::function<std::shared_ptr<const policy::Policy>()> policy,
                     std::shared_ptr<dns::ReverseNames> names, audit::DecisionLog& log, audit::Counters& counters)
    : state_(
          std::make_shared<State>(io, std::move(queue), number, std::move(policy), std::move(names), log, counters)) {}

PacketLog::~PacketLog() {
  stop();
}

void PacketLog::start() {
  if (!state_->socket.is_open()) return;
  auto receiving = State::receive(state_);
  asio::co_spawn(state_->io, std::move(receiving), [](const std::exception_ptr&) {});
}

void PacketLog::stop() {
  if (std::exchange(state_->stopped, true)) return;
  boost::system::error_code ignored;
  (void)state_->socket.close(ignored);
  state_->pause.cancel();
  state_->denials.stop();
}

}  // namespace soleroute::gateway::queue
