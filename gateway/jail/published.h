// `gateway run --publish`: ports of the host on which servers of the command are reached. The gateway listens outside
// and connects inside, over sockets that the jail's first process makes there; the command has none of them.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/jail/channel.h"

namespace soleroute::gateway::jail {

struct PublishedPort {
  base::Endpoint outside;    // where the gateway listens
  std::uint16_t inside = 0;  // at loopback of the jail
  bool operator==(const PublishedPort&) const = default;
};

// PORT, HOSTPORT:PORT or ADDR:HOSTPORT:PORT; without an address 127.0.0.1.
[[nodiscard]] base::Result<PublishedPort> parse_published_port(const std::string& text);

struct OpenPort {
  base::Fd listener;
  std::uint16_t inside = 0;
};
// All, or an error that names the one that cannot be had.
[[nodiscard]] base::Result<std::vector<OpenPort>> open_published(const std::vector<PublishedPort>& ports);

// Serves on a thread of its own from construction to destruction, which ends every connection.
class Publisher {
 public:
  static constexpr std::size_t kMaxConnections = 100;  // at once; further ones are reset

  // `sockets`: the outside's end of the line over which the first process makes them (InsidePlan::socket_requests).
  [[nodiscard]] static base::Result<std::unique_ptr<Publisher>> start(std::vector<OpenPort> ports, Channel sockets);
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;
  ~Publisher();

 private:
  Publisher();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace soleroute::gateway::jail
