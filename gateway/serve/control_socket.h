// The control socket: one JSON object asked, one answered, a line each, over a Unix socket that the agent cannot reach.
// Used on the controlling thread's event loop.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace soleroute::gateway::serve {

// The policy that holds after a reload.
struct PolicyInForce {
  std::uint64_t version = 1;  // counted from the start of the program
  std::string summary;
};

// {"ask":"status"} is answered with:
//   {"health":"starting|healthy|degraded|stopping","version":…,"uptime_s":…,"topology":…,
//    "policy":{"files":[…],"hosts":n,"version":n,"stale":bool},"rules":{"intended":"closed|open","differences":[…]},
//    "counters":{name:n,…}}
// {"ask":"reload"} reads the policy again, as SIGHUP does, and is answered when it holds or was refused:
//   {"accepted":true,"version":n,"detail":"what holds now"} or {"accepted":false,"detail":"what is wrong"}
// Anything else, and anybody but root and the user of the gateway: {"error":"…"}. One question a connection at a time;
// a line is at most 4 KiB.
class ControlSocket {
 public:
  using Answer = std::function<std::string(const std::string& ask)>;  // to a JSON object; "" if unknown

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

// The answer to "reload".
[[nodiscard]] std::string reload_answer(const base::Result<PolicyInForce>& reloaded);

}  // namespace soleroute::gateway::serve
