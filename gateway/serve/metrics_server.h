// The metrics page over HTTP for Prometheus: one fixed answer to any request, on an address the operator names. Eight
// connections at once, two seconds each; one more ends the oldest.
// Used on the controlling thread's event loop.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/audit/counters.h"

namespace soleroute::gateway::serve {

class MetricsServer {
 public:
  [[nodiscard]] static base::Result<std::unique_ptr<MetricsServer>> open(boost::asio::io_context& io,
                                                                         const base::Endpoint& at,
                                                                         const audit::Counters& counters);
  ~MetricsServer();

 private:
  struct State;
  explicit MetricsServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace soleroute::gateway::serve
