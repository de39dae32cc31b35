// The line between the gateway outside and the jail's first process: small whole messages, with file descriptors.
// Not thread-safe; each side owns its end. The other side's death reads as the end of the stream.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace soleroute::gateway::jail {

enum class MessageKind : std::uint8_t {
  kEntered,    // inside -> outside: its namespaces stand
  kTrust,      // outside -> inside: pack_trust()
  kReady,      // inside -> outside: prepared; text and fds are what preparation returned
  kFailed,     // inside -> outside: text says what, value is the errno or 0
  kGo,         // outside -> inside: run the command
  kNoProc,     // inside -> outside: a fresh /proc is not allowed here; try without a PID namespace
  kStarted,    // the command itself -> outside, just before exec: `sender` is its process
  kNotFound,   // the command itself -> outside: exec failed; value is the errno
  kSignal,     // outside -> inside: deliver signal `value` to the command
  kStopped,    // inside -> outside: the command stopped by signal `value`
  kContinued,  // inside -> outside: it runs again
  kExited,     // inside -> outside: the command ended; value is its wait status
  kSocket,     // outside -> inside: make a TCP socket of family `value`; inside -> outside: fds has it
};

struct Message {
  MessageKind kind = MessageKind::kFailed;
  int value = 0;
  std::string text;
  std::vector<base::Fd> fds;
  pid_t sender = 0;  // of a received message: the process that sent it, as numbered on this side
};

inline constexpr std::size_t kMaxMessageText = 16 * 1024;
inline constexpr std::size_t kMaxMessageFds = 250;  // SCM_MAX_FD is 253

class Channel {
 public:
  Channel() = default;
  explicit Channel(base::Fd socket) : socket_(std::move(socket)) {}
  // The first end is the outside's: what it receives says who sent it.
  [[nodiscard]] static base::Result<std::pair<Channel, Channel>> make();

  // Keeps the descriptors in `message`; the other side gets copies of its own, close-on-exec. Text beyond the bound is
  // cut.
  [[nodiscard]] base::Status send(const Message& message);
  // Waits. nullopt: the other side is gone.
  [[nodiscard]] base::Result<std::optional<Message>> receive();

  [[nodiscard]] int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }

 private:
  base::Fd socket_;
};

}  // namespace soleroute::gateway::jail
