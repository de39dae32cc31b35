// A denied request that waits for an operator's answer, whichever version of HTTP carries it.
// Runs on its worker's thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>

#include "gateway/flow/context.h"
#include "gateway/http/page.h"
#include "gateway/http/request_flow.h"

namespace soleroute::gateway::http {

// The page to answer with after all; nothing: the request passes. `denied`: the page that decide() gave.
// Precondition: request.may_be_held().
[[nodiscard]] boost::asio::awaitable<std::optional<Page>> ask_operator(flow::Context& context, RequestFlow& request,
                                                                       Page denied, std::function<bool()> has_left);

}  // namespace soleroute::gateway::http
