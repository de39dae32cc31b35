// A question as people ask it (a URL, or a host with port and protocol) and what the policy answers.
// Plain values; what is not a valid question is answered with a denial, as the gateway would.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/decision.h"
#include "policy/policy.h"

namespace soleroute::policy {

struct DecisionQuery {
  std::string url;  // http, https, ws, wss, tcp or udp; empty: host, port and protocol say it
  std::string method = "GET";
  std::vector<std::string> headers{};  // names of those that the request brings
  std::string host;                    // a name or an address
  std::uint16_t port = 0;
  Transport protocol = Transport::kTcp;
};

// An error where no gateway could be asked about `url`: another scheme, a port that is none, no host.
[[nodiscard]] base::Status check_url(std::string_view url);

// Owns what its facts borrow, so it stays where it was made.
class PreparedQuery {
 public:
  explicit PreparedQuery(DecisionQuery question);
  PreparedQuery(const PreparedQuery&) = delete;
  PreparedQuery& operator=(const PreparedQuery&) = delete;
  PreparedQuery(PreparedQuery&&) = delete;
  PreparedQuery& operator=(PreparedQuery&&) = delete;
  ~PreparedQuery() = default;

  // Asks what the gateway would ask, in its order: https first as a connection, then as a request. Asks `policy`
  // itself, and not those of its agents. Borrows it.
  [[nodiscard]] Decision ask(const Policy& policy);

  // The facts of the phase that decided; before ask(), of the first.
  [[nodiscard]] const FlowFacts& facts() const { return facts_; }
  [[nodiscard]] const std::string& host() const { return host_; }  // as asked, canonical where it is a name
  [[nodiscard]] std::string_view path() const;                     // without the query; empty unless http or https

 private:
  void prepare_url();
  [[nodiscard]] bool split_authority(std::string_view authority);
  void prepare_destination();
  void refuse(Reason reason);

  DecisionQuery question_;
  std::string host_;
  std::string target_;
  FlowFacts facts_;
  std::optional<Reason> refused_;  // what was asked is no valid question
};

}  // namespace soleroute::policy
