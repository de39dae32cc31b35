// How a worker connects to upstream DNS servers over TLS: verified as origins are, before a question is sent.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>

#include "gateway/dns/tls_upstreams.h"
#include "gateway/inspect/origin_tls.h"
#include "gateway/net/deadline_wheel.h"

namespace soleroute::gateway::workers {

// `io` and `wheel` outlive it. `mark`: SO_MARK, 0 none.
[[nodiscard]] dns::ConnectTls connect_over_tls(boost::asio::io_context& io, net::DeadlineWheel& wheel,
                                               std::shared_ptr<const inspect::OriginTls> tls, std::uint32_t mark);

}  // namespace soleroute::gateway::workers
