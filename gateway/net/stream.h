// A connected stream of bytes with one deadline over everything it waits for.
// Not thread-safe: belongs to one worker. Not movable: flows hold it by unique_ptr or as a local.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/net/buffer_account.h"
#include "gateway/net/deadline_wheel.h"
#include "gateway/net/descriptor_budget.h"
#include "gateway/net/io_result.h"
#include "gateway/net/readiness.h"

namespace soleroute::gateway::net {

// What became of bytes that were to be sent.
enum class Written : std::uint8_t {
  kAll,
  kPart,    // the stream takes no more now
  kBroken,  // it never will
};

// What flows read and write: TCP itself, or TLS on top of it.
class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  // Every wait from now on ends with ETIMEDOUT when this has passed. Call again to move it.
  virtual void expires_after(std::chrono::milliseconds duration) = 0;
  virtual void never_expires() = 0;
  [[nodiscard]] virtual bool timed_out() const = 0;

  // At least one byte, or 0 at end of stream. ETIMEDOUT, ECONNRESET, ECANCELED (close()) in Error::sys_errno.
  [[nodiscard]] virtual boost::asio::awaitable<base::Result<std::size_t>> read_some(std::span<std::byte> into) = 0;
  // The same without waiting. The cheap first try of a hot path.
  [[nodiscard]] virtual IoResult try_read_some(std::span<std::byte> into) = 0;
  [[nodiscard]] boost::asio::awaitable<base::Status> write_all(std::span<const std::byte> bytes);
  // True: the last read left nothing behind it, as the kernel told, and the next one waits before it tries. Not to be
  // asked once start_wait() has told its waiter.
  [[nodiscard]] virtual bool wait_before_reading() { return false; }
  // How much was taken without waiting.
  [[nodiscard]] virtual IoResult try_write_some(std::span<const std::byte> bytes) = 0;
  // What can be sent at once of a last word, also when the time is up.
  virtual void write_last(std::span<const std::byte> bytes) = 0;
  // Until it is worth trying again: it may still block then. Several may wait for the same.
  [[nodiscard]] virtual boost::asio::awaitable<base::Status> wait_readable() = 0;
  [[nodiscard]] virtual boost::asio::awaitable<base::Status> wait_writable() = 0;
  // The same without a coroutine.
  enum class Wait : std::uint8_t {
    kStarted,  // `waiter` is told
    kNoNeed,   // it is worth trying now, if only to be told why it fails; `waiter` hears nothing
  };
  [[nodiscard]] virtual Wait start_wait(Readiness::For what, std::shared_ptr<Readiness::Waiter> waiter) = 0;

  // Nothing is under way: a client's connection between two requests. One that is resting ends at once when the gateway
  // stops.
  virtual void set_resting(bool resting) = 0;

  virtual void shutdown_send() = 0;  // FIN; reading goes on
  virtual void reset() = 0;          // RST: SO_LINGER 0 and close
  virtual void close() = 0;          // every wait in progress ends with ECANCELED
  [[nodiscard]] virtual bool is_open() const = 0;

  // The socket at the bottom; its bytes are the stream's, as splice(2) needs it, only where is_plain().
  [[nodiscard]] virtual int native_handle() = 0;
  [[nodiscard]] virtual bool is_plain() const = 0;

  // In whose account the bytes are that are held on its behalf; null: nobody's.
  void account_to(std::shared_ptr<ClientBuffers> buffers) { buffers_ = std::move(buffers); }
  [[nodiscard]] const std::shared_ptr<ClientBuffers>& buffers() const { return buffers_; }

 private:
  std::shared_ptr<ClientBuffers> buffers_;
};

class TcpStream final : public Stream, private Deadline {
 public:
  // Takes a connected, non-blocking socket.
  TcpStream(boost::asio::io_context& io, DeadlineWheel& wheel, base::Fd socket);
  TcpStream(const TcpStream&) = delete;
  TcpStream& operator=(const TcpStream&) = delete;
  ~TcpStream() override;

  // For as long as the socket is open.
  void charge(DescriptorBudget::Charge charge) { charge_ = std::move(charge); }
  // Points here until this is closed or destroyed: one that would like to know.
  class Watcher {
   public:
    Watcher() = default;
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher() { watch(nullptr); }
    void watch(TcpStream* stream);
    [[nodiscard]] TcpStream* stream() const { return stream_; }

   private:
    friend class TcpStream;
    TcpStream* stream_ = nullptr;
  };

  void expires_after(std::chrono::milliseconds duration) override;
  void never_expires() override;
  [[nodiscard]] bool timed_out() const override { return timed_out_; }
  // From now on a peer that is asked in vain and has acknowledged nothing for `longest`, at two looks in a row, one
  // every `check`, ends the stream as a deadline does.
  void end_when_silent(std::chrono::milliseconds longest, std::chrono::milliseconds check);

  [[nodiscard]] boost::asio::awaitable<base::Result<std::size_t>> read_some(std::span<std::byte> into) override;
  [[nodiscard]] IoResult try_read_some(std::span<std::byte> into) override;
  [[nodiscard]] bool wait_before_reading() override;
  [[nodiscard]] IoResult try_write_some(std::span<const std::byte> bytes) override;
  void write_last(std::span<const std::byte> bytes) override;
  [[nodiscard]] boost::asio::awaitable<base::Status> wait_readable() override;
  [[nodiscard]] boost::asio::awaitable<base::Status> wait_writable() override;
  [[nodiscard]] Wait start_wait(Readiness::For what, std::shared_ptr<Readiness::Waiter> waiter) override;

  void set_resting(bool resting) override { resting_ = resting; }
  // Resting, or nothing has ever come, or nothing has moved for kStill: to ask of a tunnel what it waits for is no use.
  [[nodiscard]] bool is_idle() const;
  static constexpr std::chrono::milliseconds kStill{2000};

  void shutdown_send() override;
  void reset() override;
  void close() override;
  [[nodiscard]] bool is_open() const override { return static_cast<bool>(socket_); }
  [[nodiscard]] int native_handle() override { return socket_.get(); }
  [[nodiscard]] bool is_plain() const override { return true; }

 private:
  class SilenceWatch;

  void expired() override;
  // Timed out or closed, if it is; else bytes(0).
  [[nodiscard]] IoResult unusable() const;
  [[nodiscard]] boost::asio::awaitable<base::Status> wait(Readiness::For what);
  [[nodiscard]] bool& blocked(Readiness::For what) {
    return what == Readiness::For::kReading ? read_blocked_ : write_blocked_;
  }
  [[nodiscard]] base::Status waited(Readiness::For what, int error);
  [[nodiscard]] bool worth_trying(Readiness::For what);

  DeadlineWheel& wheel_;
  DescriptorBudget::Charge charge_;
  Watcher* watcher_ = nullptr;
  base::Fd socket_;
  Readiness readiness_;
  bool timed_out_ = false;
  bool read_blocked_ = false;  // the last attempt would have: nothing need be asked before a wait
  bool write_blocked_ = false;
  bool has_read_ = false;
  bool resting_ = false;
  std::uint8_t vain_reads_ = 0;  // that need not have been
  bool left_nothing_ = false;    // the last read, as the kernel told
  std::unique_ptr<SilenceWatch> silence_;
};

}  // namespace soleroute::gateway::net
