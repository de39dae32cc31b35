// What is answered to one DNS question: parses it, asks the policy, and writes the reply; opens no socket.
// One per worker, used on its thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/byte_reader.h"
#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/audit/counters.h"
#include "gateway/audit/decision_log.h"
#include "gateway/dns/cache.h"
#include "gateway/dns/denial_log.h"
#include "gateway/dns/server.h"
#include "policy/decision.h"
#include "policy/policy.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::dns {

using Message = std::vector<std::byte>;

// An allowed question that the cache could not answer.
struct PendingLookup {
  sniffer::DnsQuery query;
  base::HostName name;
  base::IpAddress client;
  std::shared_ptr<const policy::Policy> policy;  // keeps what the decision borrows
  policy::Decision decision;
  std::size_t limit = 0;   // bytes of reply that the client takes
  bool completed = false;  // by a resolver with a search domain, so that it is no wonder if it does not exist
};

class Responder {
 public:
  static constexpr std::uint32_t kDenialTtl = 5;  // seconds: a policy that is changed is felt soon
  static constexpr std::size_t kTcpLimit = 65535;

  Responder(ServerOptions options, Resolver& resolver, std::shared_ptr<ReverseNames> names, DenialLog& denials,
            audit::DecisionLog& log, audit::Counters& counters);

  // The reply (empty: none is due), or the question to look up and then finish.
  [[nodiscard]] std::variant<Message, PendingLookup> begin(base::Bytes message, const base::IpAddress& client,
                                                           policy::Transport transport);
  [[nodiscard]] Message finish(const PendingLookup& question,
                               const base::Result<std::shared_ptr<const RecordSet>>& found);
  // For a question that is not looked up because its client asks too much.
  [[nodiscard]] Message overloaded(const PendingLookup& question, std::string_view why);

 private:
  // One well-formed question and who asked it.
  struct ClientQuery {
    const sniffer::DnsQuery& query;
    const base::IpAddress& client;
    std::size_t limit;
  };
  [[nodiscard]] Message malformed(base::Bytes message, const base::IpAddress& client, std::string_view why);
  [[nodiscard]] std::variant<Message, PendingLookup> decide(const ClientQuery& asked, const base::HostName& name);
  [[nodiscard]] Message loopback(const ClientQuery& asked, const base::HostName& name);
  [[nodiscard]] Message special(const ClientQuery& asked, const base::HostName& name);
  [[nodiscard]] Message denied(const ClientQuery& asked, const base::HostName& name, const policy::Decision& decision);
  // Nothing if it is a denied name like any other.
  [[nodiscard]] std::optional<Message> if_completed(const ClientQuery& asked, const PendingLookup& question);
  [[nodiscard]] Message denied_address_reply(const ClientQuery& asked, const base::HostName& name,
                                             std::optional<sniffer::DnsExtendedError> why) const;
  [[nodiscard]] Message own_address_reply(const ClientQuery& asked, std::optional<sniffer::DnsExtendedError> why) const;
  [[nodiscard]] Message host_service_reply(const ClientQuery& asked, const PendingLookup& question);
  [[nodiscard]] std::vector<base::IpAddress> as_reachable(const PendingLookup& question,
                                                          std::vector<base::IpAddress> told) const;
  [[nodiscard]] Message addresses_reply(const PendingLookup& question, const RecordSet& set);
  [[nodiscard]] std::optional<Message> pointer_reply(const ClientQuery& asked, const base::HostName& name);
  [[nodiscard]] Message locations_reply(const PendingLookup& question, const RecordSet& set);
  [[nodiscard]] Message texts_reply(const PendingLookup& question, const RecordSet& set);
  [[nodiscard]] bool is_allowed(const PendingLookup& question, const base::HostName& name) const;
  [[nodiscard]] std::optional<base::HostName> told_alias(const PendingLookup& question, const RecordSet& set) const;
  [[nodiscard]] Message services_reply(const PendingLookup& question, const RecordSet& set);
  [[nodiscard]] bool may_tell(const PendingLookup& question, const net::OwnAddresses& now,
                              const base::IpAddress& address) const;
  // Where a name that the upstream proxy resolves does not resolve here; nothing for any other.
  [[nodiscard]] std::optional<Message> stand_in_reply(const PendingLookup& question, std::string_view why);
  [[nodiscard]] bool is_typed(const PendingLookup& question);
  [[nodiscard]] Message unknown_here(const PendingLookup& question);

  void log_allowed(const PendingLookup& question, std::string_view detail);
  void log_failed(const PendingLookup& question, std::string_view reason, std::string_view detail);
  void log_private_address(const PendingLookup& question, const base::IpAddress& refused);
  void log_guessed(const PendingLookup& question);
  void log_denied(audit::DecisionRecord record);

  ServerOptions options_;
  Resolver& resolver_;
  std::shared_ptr<ReverseNames> names_;
  DenialLog& denials_;
  audit::DecisionLog& log_;
  audit::Counters& counters_;
  std::size_t rotation_ = 0;  // so that clients which take the first address share the load
};

}  // namespace soleroute::gateway::dns
