// Clients, servers and a packet queue as small blocking-with-deadline steps, for tests of what the rules let through.
// A socket stays in the network namespace in which it was made.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <netinet/in.h>  // before the kernel's headers, which then do not define it again

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/fd.h"
#include "base/ip_address.h"

struct mnl_socket;

namespace soleroute::netrules::testing {

using std::chrono::milliseconds;

inline constexpr milliseconds kSoon{2000};  // what should happen happens long before
inline constexpr milliseconds kNever{150};  // how long to look for what should not happen

[[nodiscard]] base::Endpoint at(const char* address, std::uint16_t port);

// Listening, dual-stack on every address, or on the one given.
[[nodiscard]] base::Fd tcp_server(std::uint16_t port, const char* address = "::");
[[nodiscard]] base::Fd udp_server(std::uint16_t port, const char* address = "::");

struct Accepted {
  base::Fd socket;
  base::Endpoint original_destination;  // before any redirect
};
[[nodiscard]] std::optional<Accepted> accept_one(const base::Fd& server, milliseconds within = kSoon);
// Has a datagram arrived (and takes it)?
[[nodiscard]] bool receive_one(const base::Fd& server, milliseconds within = kSoon);

struct Client {
  base::Fd socket;
  int error = 0;  // of connecting or sending: 0, ECONNREFUSED, …, ETIMEDOUT: neither yes nor no
};
[[nodiscard]] Client connect_tcp(const base::Endpoint& to, milliseconds within = kSoon, std::uint32_t mark = 0);
// Begins to connect and does not wait.
[[nodiscard]] base::Fd start_tcp(const base::Endpoint& to, std::uint32_t mark = 0);
[[nodiscard]] int finish_tcp(const base::Fd& socket, milliseconds within = kSoon);
// Sends one datagram and waits for a refusal: 0 when none came.
[[nodiscard]] Client send_udp(const base::Endpoint& to, milliseconds refusal_within = kSoon, std::uint32_t mark = 0);
// Sends, then waits for the error or the end of the connection: 0 still open, ECONNRESET, …
[[nodiscard]] int write_and_wait(const base::Fd& connection, milliseconds within = kSoon);

// An NFQUEUE in the namespace of the caller. Accepts whatever it is given.
class QueueListener {
 public:
  explicit QueueListener(std::uint16_t number);
  ~QueueListener();
  QueueListener(const QueueListener&) = delete;
  QueueListener& operator=(const QueueListener&) = delete;
  // Answers what is there or comes within the time, up to `at_most` packets; returns how many.
  int serve(int at_most, milliseconds within = kSoon);

 private:
  std::uint16_t number_;
  mnl_socket* socket_;
};

}  // namespace soleroute::netrules::testing
