// Answers for names that an upstream proxy resolves.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "gateway/dns/responder.h"
#include "gateway/dns/reverse_names.h"
#include "gateway/dns/search_list.h"

namespace soleroute::gateway::dns {
namespace {

// How long the gateway's own address is known to represent a name.
constexpr std::chrono::minutes kRepresents{5};

}  // namespace

// A name that a client's resolver made of another one and a search domain does not exist.
bool Responder::is_typed(const PendingLookup& question) {
  const auto judged = options_.searched->judge(question.client, question.name, *question.policy, Clock::now());
  return judged.verdict == SearchedNames::Verdict::kTyped;
}

// The flow comes back with the name in its SNI, its Host or as an endpoint's address, and the proxy is asked for it.
std::optional<Message> Responder::stand_in_reply(const PendingLookup& question, std::string_view why) {
  if (!options_.by_proxy || !options_.by_proxy(question.name)) return std::nullopt;
  log_allowed(question, fmt::format("{}: the upstream proxy resolves it", why));
  if (!options_.denied->networks().v4) {  // the gateway's own address is answered
    names_->remember(question.name, options_.own_addresses, Clock::now() + kRepresents);
  }
  const ClientQuery asked{question.query, question.client, question.limit};
  return denied_address_reply(asked, question.name, std::nullopt);
}

}  // namespace soleroute::gateway::dns
