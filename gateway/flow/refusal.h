// How a flow without a page is refused: its one log record, and an orderly last word to the client.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/flow/context.h"
#include "policy/decision.h"

namespace soleroute::gateway::flow {

// From the connection to the first decision, whatever the client dribbles: HTTP head or ClientHello.
inline constexpr std::chrono::milliseconds kFirstBytesTimeout{10000};

// A client for which all is held that may be (net/buffer_account.h).
inline constexpr std::string_view kNoRoom = "this client uses all of its memory share in the gateway";

struct Refusal {
  policy::Phase phase = policy::Phase::kTls;
  policy::Reason reason = policy::Reason::kMalformed;
  std::string host{};    // as far as known
  std::string detail{};  // for people
  std::string matched_host{};
  policy::SourceLine rule{};
  std::optional<int> status{};
  bool ech = false;
  std::optional<base::IpAddress> refused_address{};  // with kPrivateAddress: one of the host's
};

void log_refusal(Context& context, const ClientConnection& client, const Refusal& refusal);
// Writes, sends FIN and reads what is still on its way, so that no reset overtakes the last word; then closes.
[[nodiscard]] boost::asio::awaitable<void> send_and_close(net::Stream& stream, std::string last_word);
// Also to a client whose time is up.
[[nodiscard]] boost::asio::awaitable<void> send_last_word(net::Stream& stream, std::string text);

}  // namespace soleroute::gateway::flow
