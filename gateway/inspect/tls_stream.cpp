// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace soleroute::gateway::inspect {
namespace {

namespace asio = boost::asio;
using Kind = HandshakeFault::Kind;
using net::IoResult;

// Encrypted at once and sent in one call: four records.
constexpr std::size_t kMostWritten = std::size_t{64} * 1024;

constexpr int kCertificateRequiredAlert = 116;  // RFC 8446 section 6.2: TLS 1.3 says so after the handshake

// Handshake messages after the handshake, for which no data has come yet: KeyUpdate (RFC 8446 section 4.6.3), tickets,
// HelloRequest. OpenSSL goes on over them in one call for as long as some come, at 10 to 25 microseconds each, and a
// peer can send a million in a second.
constexpr int kMostIdleMessages = 32;
// Records read in one call: with a byte in each, a buffer's worth of them would take a tenth of a second.
constexpr int kMostRecords = 64;

base::Error error_of(const char* what, int number) {
  return {what, base::ErrorKind::kSystem, number};
}

// Of OpenSSL for one session without its record buffers, measured with two: 43 KB.
constexpr std::size_t kStateBytes = std::size_t{22} * 1024;

// Filled and emptied without suspending in between, so one for a worker serves all its connections.
std::vector<std::byte>& scratch() {
  thread_local std::vector<std::byte> buffer;
  buffer.clear();
  return buffer;
}

}  // namespace

void SslDeleter::operator()(SSL* ssl) const {
  SSL_free(ssl);
}

// What OpenSSL reads from and writes to: never blocks, and never refuses what is written.
struct TlsStream::Wire {
  net::Stream& below;
  std::vector<std::byte> replayed;
  std::size_t given = 0;  // of replayed
  std::vector<std::byte>* sink = nullptr;
  std::optional<base::Error> broken{};
  bool ended = false;
  bool established = false;  // the handshake is over
  int idle_messages = 0;     // not yet made up for by data

  [[nodiscard]] bool flooded() const { return idle_messages > kMostIdleMessages; }
  void received_data() { idle_messages = std::max(0, idle_messages - 1); }
  // Too many: OpenSSL ends at the next record, as after close_notify.
  static void saw_message(int sent, int, int type, const void*, std::size_t, SSL* ssl, void* wire) {
    Wire& self = *static_cast<Wire*>(wire);
    if (sent != 0 || type != SSL3_RT_HANDSHAKE || !self.established) return;
    ++self.idle_messages;
    if (self.flooded()) SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
  }

  int read(BIO* bio, std::span<std::byte> into) {
    if (given < replayed.size()) return static_cast<int>(replay(into));
    const auto result = below.try_read_some(into);
    if (result.would_block()) BIO_set_retry_read(bio);
    if (result.failed()) broken = result.error();
    if (result.would_block() || result.failed()) return -1;
    ended = result.ended();
    return static_cast<int>(result.count());
  }
  std::size_t replay(std::span<std::byte> into) {
    const std::size_t count = std::min(into.size(), replayed.size() - given);
    std::memcpy(into.data(), replayed.data() + given, count);
    given += count;
    if (given == replayed.size()) {
      std::vector<std::byte>().swap(replayed);
      given = 0;
    }
    return count;
  }

  static Wire& of(BIO* bio) { return *static_cast<Wire*>(BIO_get_data(bio)); }
  static int read_from(BIO* bio, char* into, int size) {
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    return of(bio).read(bio, std::as_writable_bytes(std::span(into, static_cast<std::size_t>(size))));
  }
  static int write_to(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    const auto bytes = std::as_bytes(std::span(from, static_cast<std::size_t>(size)));
    auto& sink = *of(bio).sink;
    sink.insert(sink.end(), bytes.begin(), bytes.end());
    return size;
  }
  static long control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
    if (command == BIO_CTRL_EOF) return of(bio).ended ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "soleroute stream");
      if (fresh == nullptr) return fresh;
      BIO_meth_set_read(fresh, read_from);
      BIO_meth_set_write(fresh, write_to);
      BIO_meth_set_ctrl(fresh, control);
      return fresh;
    }();
    return made;
  }
};

TlsStream::TlsStream(std::unique_ptr<net::Stream> below, SslPtr ssl, std::vector<std::byte> replayed,
                     std::shared_ptr<void> attachment)
    : attachment_(std::move(attachment)),
      below_(std::move(below)),
      wire_(std::make_unique<Wire>(*below_, std::move(replayed))),
      ssl_(std::move(ssl)) {
  account_to(below_->buffers());
  held_ = net::HeldBytes(buffers(), kStateBytes);
  wire_->sink = &unsent_;
  BIO* bio = BIO_new(Wire::method());
  if (bio == nullptr || !ssl_) {  // out of memory: the handshake fails
    ssl_.reset();
    return;
  }
  BIO_set_data(bio, wire_.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_msg_callback(ssl_.get(), Wire::saw_message);
  SSL_set_msg_callback_arg(ssl_.get(), wire_.get());
  SSL_set_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_set_read_ahead(ssl_.get(), 1);
}

// However the connection ended, its session may be resumed: SSL_free() thinks otherwise unless it is told.
TlsStream::~TlsStream() {
  if (ssl_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

std::string_view TlsStream::alpn() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsStream::resumed() const {
  return SSL_session_reused(ssl_.get()) == 1;
}

asio::awaitable<std::expected<void, HandshakeFault>> TlsStream::handshake() {
  if (!ssl_) co_return std::unexpected(HandshakeFault{.message = "out of memory"});
  for (;;) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    const int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), done);
    const bool goes_on = error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ;
    const HandshakeFault fault = goes_on ? HandshakeFault{} : handshake_fault(error);
    base::Status written;
    if (!unsent_.empty()) written = co_await below_->write_all(unsent_);
    unsent_.clear();
    if (!written && goes_on) {
      wire_->broken = written.error();
      co_return std::unexpected(handshake_fault(SSL_ERROR_SYSCALL));
    }
    if (!goes_on) co_return std::unexpected(fault);
    if (done == 1) break;
    if (auto readable = co_await below_->wait_readable(); !readable) {
      wire_->broken = readable.error();
      co_return std::unexpected(handshake_fault(SSL_ERROR_SYSCALL));
    }
  }
  wire_->established = true;
  std::vector<std::byte>().swap(unsent_);
  co_return std::expected<void, HandshakeFault>{};
}

HandshakeFault TlsStream::handshake_fault(int error) const {
  if (below_->timed_out()) return {Kind::kTimedOut, 0, 0, "the TLS handshake took too long"};
  if (wire_->broken || wire_->ended) return {Kind::kClosed, 0, 0, "the connection ended during the TLS handshake"};
  const unsigned long code = error == SSL_ERROR_SSL ? ERR_peek_last_error() : 0;
  const int reason = ERR_GET_REASON(code);
  const char* text = ERR_reason_error_string(code);
  const std::string message = text == nullptr ? "the TLS handshake failed" : text;
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
    return {Kind::kAlert, reason - SSL_AD_REASON_OFFSET, 0, message};
  }
  return {Kind::kRefused, 0, reason, message};
}

net::IoResult TlsStream::broken() const {
  return unwritable_ ? IoResult::failure(*unwritable_) : IoResult::failure("closed", EPIPE);
}

TlsStream::Flushed TlsStream::flush(base::Bytes encrypted) {
  while (!encrypted.empty()) {
    const auto written = below_->try_write_some(encrypted);
    if (written.failed()) {
      unwritable_ = written.error();
      return Flushed::kBroken;
    }
    if (written.would_block()) {
      unsent_.assign(encrypted.begin(), encrypted.end());
      sent_ = 0;
      return Flushed::kBlocked;
    }
    encrypted = encrypted.subspan(written.count());
  }
  return Flushed::kAll;
}

TlsStream::Flushed TlsStream::flush() {
  while (sent_ < unsent_.size()) {
    const auto written = below_->try_write_some(std::span<const std::byte>(unsent_).subspan(sent_));
    if (written.would_block()) return Flushed::kBlocked;
    if (written.failed()) {
      unwritable_ = written.error();
      return Flushed::kBroken;
    }
    sent_ += written.count();
  }
  sent_ = 0;
  std::vector<std::byte>().swap(unsent_);
  end_if_flushed();
  return Flushed::kAll;
}

void TlsStream::end_if_flushed() {
  if (finishing_ && unsent_.empty()) below_->shutdown_send();
}

// Into the sink, whole.
bool TlsStream::encrypt(base::Bytes bytes) {
  ERR_clear_error();
  std::size_t written = 0;
  return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) == 1 && written == bytes.size();
}

net::IoResult TlsStream::try_write_some(std::span<const std::byte> bytes) {
  if (bytes.empty()) return IoResult::bytes(0);
  const Flushed kept = flush();
  if (kept == Flushed::kBlocked) return IoResult::blocked();
  if (kept == Flushed::kBroken) return broken();
  if (taken_ > 0) return IoResult::bytes(std::min(std::exchange(taken_, 0), bytes.size()));

  bytes = bytes.first(std::min(bytes.size(), kMostWritten));
  auto& encrypted = scratch();
  wire_->sink = &encrypted;
  const bool sound = encrypt(bytes);
  wire_->sink = &unsent_;
  if (!sound) return broken();
  switch (flush(encrypted)) {
    case Flushed::kAll:
      return IoResult::bytes(bytes.size());
    case Flushed::kBlocked:
      taken_ = bytes.size();
      return IoResult::blocked();
    case Flushed::kBroken:
      break;
  }
  return broken();
}

void TlsStream::write_last(std::span<const std::byte> bytes) {
  if (!below_->is_open() || bytes.empty() || !encrypt(bytes.first(std::min(bytes.size(), kMostWritten)))) return;
  below_->write_last(std::span<const std::byte>(unsent_).subspan(sent_));
  unsent_.clear();
  sent_ = 0;
}

base::Error TlsStream::failure_to_read(int error) {
  if (wire_->broken) return *wire_->broken;
  if (wire_->ended) return error_of("the connection ended without TLS's close_notify", ECONNABORTED);
  const HandshakeFault fault = handshake_fault(error);
  if (fault.alert == kCertificateRequiredAlert) return error_of(kWantsClientCertificate, EPROTO);
  return {"TLS: " + fault.message, base::ErrorKind::kSystem, EPROTO};
}

net::IoResult TlsStream::try_read_some(std::span<std::byte> into) {
  if (failed_) return IoResult::failure(*failed_);
  std::size_t total = 0;
  for (int records = 0; total < into.size() && records < kMostRecords; ++records) {
    ERR_clear_error();
    std::size_t count = 0;
    if (SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &count) == 1) {
      starved_ = false;
      total += count;
      wire_->received_data();
      if (SSL_has_pending(ssl_.get()) == 1) continue;
      return IoResult::bytes(total);
    }
    const int error = SSL_get_error(ssl_.get(), 0);
    if (wire_->flooded()) {
      failed_ = error_of("TLS: too many messages that carry nothing", EPROTO);
      return total > 0 ? IoResult::bytes(total) : IoResult::failure(*failed_);
    }
    starved_ = error == SSL_ERROR_WANT_READ;
    if (!unsent_.empty()) (void)flush();           // an answer of TLS's own, such as to a KeyUpdate
    if (total > 0) return IoResult::bytes(total);  // what it was, the next call tells
    if (starved_) return IoResult::blocked();
    if (error == SSL_ERROR_ZERO_RETURN) return IoResult::read(0);
    failed_ = failure_to_read(error);
    return IoResult::failure(*failed_);
  }
  return IoResult::read(total);
}

asio::awaitable<base::Result<std::size_t>> TlsStream::read_some(std::span<std::byte> into) {
  for (;;) {
    const auto read = starved_ ? IoResult::blocked() : try_read_some(into);
    if (!read.would_block()) co_return read.waited();
    if (auto readable = co_await wait_readable(); !readable) co_return std::unexpected(readable.error());
  }
}

// Asks below each time: a wait in between has let it forget.
bool TlsStream::wait_before_reading() {
  const bool below_waits = below_->wait_before_reading();
  starved_ = starved_ || (below_waits && !can_try_reading());
  return starved_;
}

// The peer waits for the end before it ends its side: what is left of it goes before anything is read.
bool TlsStream::end_is_blocked() {
  return finishing_ && !unsent_.empty() && flush() == Flushed::kBlocked;
}

asio::awaitable<base::Status> TlsStream::wait_readable() {
  while (end_is_blocked()) {
    if (auto writable = co_await below_->wait_writable(); !writable) co_return writable;
  }
  if (can_try_reading()) co_return base::Status{};
  auto readable = co_await below_->wait_readable();
  if (readable) starved_ = false;
  co_return readable;
}

// Without the socket having to tell.
bool TlsStream::can_try_reading() const {
  const bool holds_some = SSL_has_pending(ssl_.get()) == 1 || !wire_->replayed.empty();
  return failed_ || (!starved_ && holds_some);
}

asio::awaitable<base::Status> TlsStream::wait_writable() {
  return below_->wait_writable();
}

net::Stream::Wait TlsStream::start_wait(net::Readiness::For what, std::shared_ptr<net::Readiness::Waiter> waiter) {
  using For = net::Readiness::For;
  if (what == For::kWriting) return below_->start_wait(what, std::move(waiter));
  // Once there is room, whoever waits tries, and waits again.
  if (end_is_blocked()) return below_->start_wait(For::kWriting, std::move(waiter));
  return can_try_reading() ? Wait::kNoNeed : below_->start_wait(what, std::move(waiter));
}

void TlsStream::shutdown_send() {
  if (std::exchange(finishing_, true)) return;
  ERR_clear_error();
  if (SSL_in_init(ssl_.get()) == 0) (void)SSL_shutdown(ssl_.get());  // into unsent_
  if (flush() == Flushed::kBroken) below_->shutdown_send();
}

}  // namespace soleroute::gateway::inspect
