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

  [[nodiscard]] Decision decide(const FlowFacts& facts) const;

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
  // Effective policy for people: one entry a line with its meaning and its file:line.
  [[nodiscard]] std::string describe() const;
  // What is allowed and probably not meant, one sentence each with its file:line.
  [[nodiscard]] std::vector<std::string> warnings() const;

  struct Data;
  [[nodiscard]] const Data& data() const { return *data_; }  // for policy/ alone: Data is not declared elsewhere
  explicit Policy(std::unique_ptr<const Data> data);         // for compile() only: Data is private to policy/

 private:
  std::unique_ptr<const Data> data_;
};

}  // namespace soleroute::policy
