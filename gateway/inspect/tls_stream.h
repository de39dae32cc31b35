// TLS on top of another stream, for either side of a handshake: what OpenSSL encrypts and decrypts, with this program's
// own reading, writing and waiting below it.
// Not thread-safe: belongs to one worker, as the stream below does.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <openssl/types.h>

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_reader.h"
#include "gateway/net/stream.h"

namespace soleroute::gateway::inspect {

struct SslDeleter {
  void operator()(SSL* ssl) const;
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;

// Why there is no TLS.
struct HandshakeFault {
  enum class Kind : std::uint8_t {
    kTimedOut,
    kClosed,   // the peer went away in the middle
    kAlert,    // the peer said no: `alert`
    kRefused,  // this side said no, or does not understand the peer
  };
  Kind kind = Kind::kRefused;
  int alert = 0;        // RFC 8446 section 6
  int reason = 0;       // OpenSSL's, with kRefused
  std::string message;  // a few words, nothing from the peer in it
};

// To an origin, with or after its handshake.
inline constexpr const char* kWantsClientCertificate =
    "it wants a client certificate, which an inspecting gateway does not have: 'tls: passthrough' on its entry of the "
    "policy lets the client show its own";

class TlsStream final : public net::Stream {
 public:
  // `ssl` is ready to accept or connect. `replayed` was read from `below` before and comes first. `attachment` lives as
  // long as `ssl`, for whoever gave it a pointer into it.
  TlsStream(std::unique_ptr<net::Stream> below, SslPtr ssl, std::vector<std::byte> replayed,
            std::shared_ptr<void> attachment);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream() override;

  // Once, before anything is read or written, under the deadline that is set. An alert that ends it has been sent.
  [[nodiscard]] boost::asio::awaitable<std::expected<void, HandshakeFault>> handshake();
  [[nodiscard]] std::string_view alpn() const;  // empty: none was agreed upon
  [[nodiscard]] bool resumed() const;

  void expires_after(std::chrono::milliseconds duration) override { below_->expires_after(duration); }
  void never_expires() override { below_->never_expires(); }
  [[nodiscard]] bool timed_out() const override { return below_->timed_out(); }

  // 0 is the end that the peer has announced (close_notify). A connection that merely ended is ECONNABORTED: what was
  // read may be a part.
  [[nodiscard]] boost::asio::awaitable<base::Result<std::size_t>> read_some(std::span<std::byte> into) override;
  [[nodiscard]] net::IoResult try_read_some(std::span<std::byte> into) override;
  [[nodiscard]] bool wait_before_reading() override;
  // After it would have blocked, the same bytes must be offered again: they are encrypted already.
  [[nodiscard]] net::IoResult try_write_some(std::span<const std::byte> bytes) override;
  void write_last(std::span<const std::byte> bytes) override;
  [[nodiscard]] boost::asio::awaitable<base::Status> wait_readable() override;
  [[nodiscard]] boost::asio::awaitable<base::Status> wait_writable() override;
  [[nodiscard]] Wait start_wait(net::Readiness::For what, std::shared_ptr<net::Readiness::Waiter> waiter) override;

  void set_resting(bool resting) override { below_->set_resting(resting); }
  void shutdown_send() override;  // close_notify, then FIN
  void reset() override { below_->reset(); }
  void close() override { below_->close(); }  // without close_notify: a reader knows that something is missing
  [[nodiscard]] bool is_open() const override { return below_->is_open(); }
  [[nodiscard]] int native_handle() override { return below_->native_handle(); }
  [[nodiscard]] bool is_plain() const override { return false; }

 private:
  struct Wire;
  enum class Flushed : std::uint8_t { kAll, kBlocked, kBroken };

  [[nodiscard]] Flushed flush(base::Bytes encrypted);  // what cannot be sent at once is kept
  [[nodiscard]] Flushed flush();                       // what was kept
  [[nodiscard]] bool encrypt(base::Bytes bytes);
  [[nodiscard]] bool can_try_reading() const;
  [[nodiscard]] bool end_is_blocked();
  [[nodiscard]] net::IoResult broken() const;
  [[nodiscard]] base::Error failure_to_read(int error);
  [[nodiscard]] HandshakeFault handshake_fault(int error) const;
  void end_if_flushed();

  net::HeldBytes held_;  // OpenSSL's state
  std::shared_ptr<void> attachment_;
  std::unique_ptr<net::Stream> below_;
  std::unique_ptr<Wire> wire_;
  SslPtr ssl_;
  std::vector<std::byte> unsent_;          // encrypted, in order
  std::size_t sent_ = 0;                   // of unsent_
  std::size_t taken_ = 0;                  // bytes of the caller's that unsent_ ends with
  std::optional<base::Error> failed_;      // reading is over
  std::optional<base::Error> unwritable_;  // reading may still tell why
  bool starved_ = false;                   // of a whole record, and nothing has come since
  bool finishing_ = false;                 // FIN follows when unsent_ is sent
};

}  // namespace soleroute::gateway::inspect
