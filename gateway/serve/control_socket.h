// The control socket: one JSON object asked, one answered, a line each, over a Unix socket that the agent cannot reach.
// Used on the controlling thread's event loop.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace soleroute::gateway::serve {

// {"ask":"status"} is answered with:
//   {"health":"starting|healthy|degraded|stopping","version":…,"uptime_s":…,"topology":…,
//    "policy":{"files":[…],"hosts":n,"stale":bool},"rules":{"intended":"closed|open","differences":[…]},
//    "counters":{name:n,…}}
// Anything else: {"error":"…"}. One question a connection at a time; a line is at most 4 KiB.
class ControlSocket {
 public:
  using Answer = std::function<std::string(const std::string& ask)>;  // "status" to a JSON object; "" if unknown

  // Binds `path` with mode 0600, in a directory made with 0700 if it is missing. A socket that nobody answers on any
  // more is replaced; one that is answered is an error: two gateways would fight over the rules.
  [[nodiscard]] static base::Result<std::unique_ptr<ControlSocket>> open(boost::asio::io_context& io, std::string path,
                                                                         Answer answer);
  ~ControlSocket();  // removes the path

 private:
  struct State;
  explicit ControlSocket(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace soleroute::gateway::serve
