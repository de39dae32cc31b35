// A compiled policy: immutable, shared by all workers as a snapshot, asked through decide().
// Thread-safe because it never changes.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/port_range.h"
#include "base/result.h"
#include "policy/decision.h"
#include "policy/policy_faults.h"

namespace soleroute::policy {

// Callers that read policy files read no more than this, and refuse what is longer; compile() is stricter (1 MiB,
// which does not count lines that only name a host).
inline constexpr std::size_t kMaxPolicyBytes = std::size_t{8} << 20;

enum class Mode : std::uint8_t { kEnforce, kObserve };
// Of Encrypted Client Hello in TLS that is passed through.
enum class EchMode : std::uint8_t { kPass, kDeny };
// What DNS says of a denied name: an address that leads to the refusal, or that the name does not exist.
enum class DeniedNames : std::uint8_t { kAddress, kNxdomain };

// One policy file as read by the caller: this library opens nothing.
struct PolicySource {
  std::string name;  // shown in errors and decisions, e.g. "policy.yaml"
  std::string text;
  bool for_every_agent = false;  // a layer of the policy of each agent too, whether it inherits or not
  // Not empty: the text is the policy of this agent, as if it stood under `agents:`.
  std::string agent{};
  std::vector<base::Cidr> agent_addresses{};
};

struct EndpointView {  // one compiled `endpoints:` item, for rule planning and the DNS path
  Transport transport = Transport::kTcp;
  std::string_view host;                   // empty if by address; "*.example.com" for it and every name below
  base::Cidr cidr;                         // valid if host is empty
  std::span<const base::PortRange> ports;  // sorted, apart, never empty
  SourceLine line;
};

// A header that some rule sets from a secret. Borrows from the policy.
struct SecretUse {
  const HeaderTransform* transform = nullptr;
  SourceLine line;  // of the first rule that does
};

class Policy;

// An agent that has its own policy. Borrows from the policy that lists it.
struct AgentView {
  std::string_view name;
  std::span<const base::Cidr> addresses;
  const Policy* policy = nullptr;
  SourceLine line;  // of its first entry
};

class Policy {
 public:
  // Later sources are layers over earlier ones. No source or empty ones: a policy that denies everything.
  // Errors: kUsage, `name:line:column: what is wrong` with a caret line and, where there is one, a suggestion.
  // With `faults`, reading goes on behind an error and the list gets them all; any one still means that there is no
  // policy.
  [[nodiscard]] static base::Result<std::shared_ptr<const Policy>> compile(std::span<const PolicySource> layers,
                                                                           PolicyFaults* faults = nullptr);

  ~Policy();
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  // By the policy for the client that the facts name: for_client().
  [[nodiscard]] Decision decide(const FlowFacts& facts) const;
  // By this policy, whatever the client: for what is said about the policy itself.
  [[nodiscard]] Decision decide_itself(const FlowFacts& facts) const;

  // What decides for this client: the policy of the agent that has its address, or else the common one; a policy that
  // denies everything with `agents_only`, and where an agent could use the address to leave its own policy. Itself if
  // no agents are listed. Lives as long as this policy.
  [[nodiscard]] const Policy& for_client(const base::IpAddress& client) const;
  // Of an agent's own policy; empty: the common one.
  [[nodiscard]] std::string_view agent_name() const;
  // Its agents in order of first mention, each with its own policy.
  [[nodiscard]] std::vector<AgentView> agents() const;
  // The policy of the agent with this name; null: there is none.
  [[nodiscard]] const Policy* of_agent(std::string_view name) const;
  // What for_client() returns for a client that may use no policy; null: there is no such client.
  [[nodiscard]] const Policy* for_nobody() const;
  // All that decide for some client: the common one, unless `agents_only`, and those of the agents. For the rules and
  // all else that is planned once for all clients; the other functions below speak of this one alone.
  [[nodiscard]] std::vector<const Policy*> all() const;

  [[nodiscard]] Mode mode() const;
  [[nodiscard]] DeniedNames denied_names() const;
  [[nodiscard]] bool denies_everything() const;  // nothing is listed, and what is not listed is denied
  [[nodiscard]] std::size_t host_count() const;
  [[nodiscard]] std::vector<EndpointView> endpoints() const;
  // What `hosts:` says of a name; empty: nothing.
  [[nodiscard]] std::span<const base::IpAddress> static_addresses(const base::HostName& name) const;
  // Ports besides 80 and 443 that entries of `domains:` list, sorted and apart.
  [[nodiscard]] base::PortRanges domain_ports() const;
  // Every range that an entry or an endpoint lists, in no order: networks that this policy knows.
  [[nodiscard]] std::vector<base::Cidr> listed_ranges() const;
  // What this policy sends secrets as, each once, in the order of first mention.
  [[nodiscard]] std::vector<SecretUse> secrets() const;
  // The hosts of the entries in order, "*.example.com" for a host and every name below it.
  [[nodiscard]] std::vector<std::string> host_patterns() const;
  // Effective policy for people: one entry a line with its meaning and its file:line, then the agents.
  [[nodiscard]] std::string describe() const;
  // What is allowed and probably not meant, one sentence each with its file:line.
  [[nodiscard]] std::vector<std::string> warnings() const;

  // Without its agents: the common policy for every client, or with `agents_only` one that denies everything. For an
  // agent that may use any address, as in a sidecar and a jail.
  [[nodiscard]] static std::shared_ptr<const Policy> without_agents(const std::shared_ptr<const Policy>& policy);

  struct Data;
  struct Agents;
  [[nodiscard]] const Data& data() const { return *data_; }  // for policy/ alone: Data is not declared elsewhere
  // For policy/ only: Data and Agents are private to it. `agents`: null where none are listed.
  explicit Policy(std::shared_ptr<const Data> data, std::shared_ptr<const Agents> agents = nullptr);

 private:
  [[nodiscard]] std::string describe_itself() const;
  [[nodiscard]] std::string describe_agents() const;

  std::shared_ptr<const Data> data_;
  std::shared_ptr<const Agents> agents_;
};

// policy->for_client(), which keeps the whole policy alive.
[[nodiscard]] inline std::shared_ptr<const Policy> policy_for(const std::shared_ptr<const Policy>& policy,
                                                              const base::IpAddress& client) {
  return {policy, &policy->for_client(client)};
}

}  // namespace soleroute::policy
