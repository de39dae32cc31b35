// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <utility>

#include "gateway/net/listen.h"
#include "gateway/net/peer_silence.h"
#include "gateway/net/stillness.h"

namespace soleroute::gateway::net {
namespace {

namespace asio = boost::asio;

base::Error failure(const char* what, int error) {
  return {what, base::ErrorKind::kSystem, error};
}

constexpr bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

// recv(2) that also says how much is left behind what it read; the end of the stream counts as one more (TCP_INQ, since
// Linux 4.18).
struct Received {
  ssize_t count = -1;
  bool left_nothing = false;
};

Received receive(int socket, std::span<std::byte> into) {
  iovec piece{into.data(), into.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> told{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = told.data();
  message.msg_controllen = told.size();
  Received received{.count = ::recvmsg(socket, &message, MSG_DONTWAIT)};
  const cmsghdr* inquiry = received.count > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (inquiry == nullptr || inquiry->cmsg_level != IPPROTO_TCP || inquiry->cmsg_type != TCP_CM_INQ) return received;
  int left = 1;
  std::memcpy(&left, CMSG_DATA(inquiry), sizeof left);
  received.left_nothing = left == 0;
  return received;
}

constexpr std::uint8_t kVainReads = 2;  // many a connection ends before it pays to ask

}  // namespace

asio::awaitable<base::Status> Stream::write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto written = try_write_some(bytes);
    if (written.failed()) co_return std::unexpected(written.error());
    if (written.has_bytes()) {
      bytes = bytes.subspan(written.count());
      continue;
    }
    if (auto writable = co_await wait_writable(); !writable) co_return writable;
  }
  co_return base::Status{};
}

// A deadline of its own, since the stream's moves with what is waited for.
class TcpStream::SilenceWatch final : private Deadline {
 public:
  SilenceWatch(TcpStream& stream, std::chrono::milliseconds longest, std::chrono::milliseconds check)
      : stream_(stream), longest_(longest), check_(check) {
    arm(stream_.wheel_, check_);
  }

 private:
  void expired() override {
    if (!stream_.is_open()) return;
    // Not before: most connections do not live as long, and it is four system calls.
    if (!std::exchange(asks_, true)) keep_alive_origin(stream_.native_handle());
    const bool silent = is_silent(stream_.native_handle(), longest_);
    if (silent && std::exchange(was_silent_, true)) return stream_.expired();
    was_silent_ = silent;
    arm(stream_.wheel_, check_);
  }

  TcpStream& stream_;
  std::chrono::milliseconds longest_;
  std::chrono::milliseconds check_;
  bool asks_ = false;
  bool was_silent_ = false;  // at the look before
};

TcpStream::TcpStream(asio::io_context& io, DeadlineWheel& wheel, base::Fd socket)
    : wheel_(wheel), socket_(std::move(socket)), readiness_(io, socket_.get()) {}

TcpStream::~TcpStream() {
  if (watcher_ != nullptr) watcher_->stream_ = nullptr;
  readiness_.forget();
}

void TcpStream::Watcher::watch(TcpStream* stream) {
  if (stream_ != nullptr) stream_->watcher_ = nullptr;
  stream_ = stream;
  if (stream_ != nullptr) stream_->watcher_ = this;
}

void TcpStream::expires_after(std::chrono::milliseconds duration) {
  arm(wheel_, duration);
}

void TcpStream::never_expires() {
  disarm();
}

void TcpStream::end_when_silent(std::chrono::milliseconds longest, std::chrono::milliseconds check) {
  silence_ = std::make_unique<SilenceWatch>(*this, longest, check);
}

void TcpStream::expired() {
  timed_out_ = true;
  readiness_.cancel();
}

IoResult TcpStream::unusable() const {
  if (timed_out_) return IoResult::failure("timed out", ETIMEDOUT);
  if (!socket_) return IoResult::failure("closed", ECANCELED);
  return IoResult::bytes(0);
}

IoResult TcpStream::try_read_some(std::span<std::byte> into) {
  if (const auto fault = unusable(); fault.failed()) return fault;
  const auto [count, left_nothing] = receive(socket_.get(), into);
  read_blocked_ = count < 0 && would_block(errno);
  left_nothing_ = left_nothing;
  if (count >= 0) {
    has_read_ = true;
    return IoResult::read(static_cast<std::size_t>(count));
  }
  if (read_blocked_ && has_read_ && vain_reads_ < kVainReads) {
    ++vain_reads_;
    if (vain_reads_ == kVainReads) ask_what_is_left(socket_.get());
  }
  if (read_blocked_ || errno == EINTR) return IoResult::blocked();
  return IoResult::failure("read", errno);
}

IoResult TcpStream::try_write_some(std::span<const std::byte> bytes) {
  if (const auto fault = unusable(); fault.failed()) return fault;
  const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  write_blocked_ = count < 0 && would_block(errno);
  if (count >= 0) return IoResult::bytes(static_cast<std::size_t>(count));
  if (write_blocked_ || errno == EINTR) return IoResult::blocked();
  return IoResult::failure("write", errno);
}

bool TcpStream::wait_before_reading() {
  read_blocked_ = read_blocked_ || left_nothing_;
  return read_blocked_;
}

asio::awaitable<base::Result<std::size_t>> TcpStream::read_some(std::span<std::byte> into) {
  for (;;) {
    if (const auto fault = unusable(); fault.failed()) co_return std::unexpected(fault.error());
    if (!read_blocked_) {
      if (const auto read = try_read_some(into); !read.would_block()) co_return read.waited();
      continue;
    }
    const int error = co_await readiness_.wait(Readiness::For::kReading);
    if (auto readable = waited(Readiness::For::kReading, error); !readable) co_return std::unexpected(readable.error());
  }
}

void TcpStream::write_last(std::span<const std::byte> bytes) {
  if (socket_) ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

base::Status TcpStream::waited(Readiness::For what, int error) {
  if (error != 0 || timed_out_) {
    const auto fault = unusable();
    return std::unexpected(fault.failed() ? fault.error() : failure("wait", error));
  }
  blocked(what) = false;
  if (what == Readiness::For::kReading) left_nothing_ = false;
  return {};
}

bool TcpStream::worth_trying(Readiness::For what) {
  return !blocked(what) && readiness_.watched(what) && readiness_.ready_now(what);
}

asio::awaitable<base::Status> TcpStream::wait(Readiness::For what) {
  if (const auto fault = unusable(); fault.failed()) co_return std::unexpected(fault.error());
  if (worth_trying(what)) co_return base::Status{};
  const int error = co_await readiness_.wait(what);
  co_return waited(what, error);
}

asio::awaitable<base::Status> TcpStream::wait_readable() {
  return wait(Readiness::For::kReading);
}

asio::awaitable<base::Status> TcpStream::wait_writable() {
  return wait(Readiness::For::kWriting);
}

Stream::Wait TcpStream::start_wait(Readiness::For what, std::shared_ptr<Readiness::Waiter> waiter) {
  if (unusable().failed() || worth_trying(what)) return Wait::kNoNeed;
  blocked(what) = false;
  readiness_.wait(what, std::move(waiter));
  return Wait::kStarted;
}

bool TcpStream::is_idle() const {
  return resting_ || is_still(socket_.get(), kStill);
}

void TcpStream::shutdown_send() {
  if (socket_) ::shutdown(socket_.get(), SHUT_WR);
}

void TcpStream::reset() {
  if (!socket_) return;
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void TcpStream::close() {
  disarm();
  readiness_.forget();
  socket_.reset();
  charge_.release();
  if (watcher_ != nullptr) std::exchange(watcher_, nullptr)->stream_ = nullptr;
}

}  // namespace soleroute::gateway::net
