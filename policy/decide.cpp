// The one decision. Each phase asks only what is known in it, and treats what is not known yet as still open, so that
// further facts can close a flow but never open it.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <optional>

#include "base/web_ports.h"
#include "policy/address_class.h"
#include "policy/deny_table.h"
#include "policy/host_pattern.h"
#include "policy/host_ports.h"
#include "policy/policy.h"
#include "policy/policy_data.h"
#include "policy/special_names.h"

namespace soleroute::policy {
namespace {

class Decider {
 public:
  Decider(const Policy::Data& data, const FlowFacts& facts) : data_(data), facts_(facts) {}

  [[nodiscard]] Decision answer();

 private:
  [[nodiscard]] const NameHashes& hashes_of(const base::HostName& name) const;
  [[nodiscard]] HostTable::Found find(const base::HostName& name) const { return data_.find(name, hashes_of(name)); }
  void ask_denials();
  [[nodiscard]] Decision judged(Decision decision) const;
  [[nodiscard]] Decision denied_by(const DenyRecord& record, std::string_view override_header = {}) const;
  [[nodiscard]] const DenyRecord* denied_destination() const;
  [[nodiscard]] const DenyRecord* denied_name(const base::HostName& name) const;
  [[nodiscard]] Decision by_phase() const;
  [[nodiscard]] Decision dns() const;
  [[nodiscard]] bool has_txt(const EndpointGroup& group) const;
  [[nodiscard]] Decision tls() const;
  [[nodiscard]] Decision http() const;
  [[nodiscard]] Decision connect() const;
  [[nodiscard]] Decision packet() const;

  [[nodiscard]] Decision https_to(const base::HostName& name) const;
  [[nodiscard]] HttpsOnPort https_of(const HostRecord& record) const;
  [[nodiscard]] Decision unopened(const HostRecord& record, const HttpsOnPort& https) const;
  [[nodiscard]] const HostRecord* record_deciding(const base::HostName& name, Scheme scheme) const;
  [[nodiscard]] bool opens(const HostRecord& record, Scheme scheme) const;
  [[nodiscard]] Decision https_request(const HostRecord& record) const;
  [[nodiscard]] Decision http_request(const HostRecord& record) const;
  [[nodiscard]] Decision first_match(const HostRecord& record, Scheme scheme) const;
  [[nodiscard]] Decision admitted_by(const HostRecord& record, const Rule& rule) const;
  [[nodiscard]] std::string_view override_of(const RuleTerms& terms) const;

  [[nodiscard]] Decision nameless_request() const;
  [[nodiscard]] Decision named_endpoint(const base::HostName& name) const;
  [[nodiscard]] Decision beyond_domains(const base::HostName& name) const;
  [[nodiscard]] Decision tunnel_to(const base::HostName& name) const;
  [[nodiscard]] Decision addressed_endpoint(const base::Endpoint& destination) const;
  [[nodiscard]] Decision endpoint_of_resolved_name(const base::Endpoint& destination) const;
  [[nodiscard]] Decision resolved_endpoint(const EndpointRecord& endpoint, const base::HostName& name,
                                           const base::Endpoint& destination) const;
  [[nodiscard]] bool serves(const EndpointRecord& endpoint, std::uint16_t port) const;
  [[nodiscard]] Decision allowed_by(const EndpointRecord& endpoint) const;

  [[nodiscard]] Decision about(const HostRecord& record, Action action, Reason reason, const Origin& origin) const;
  [[nodiscard]] static Decision deny(Reason reason) { return {.action = Action::kDeny, .reason = reason}; }
  [[nodiscard]] bool names_disagree() const { return facts_.sni && facts_.host && *facts_.sni != *facts_.host; }

  const Policy::Data& data_;
  const FlowFacts& facts_;
  Denial denial_{};                                 // of the names that the flow gives itself
  mutable const base::HostName* hashed_ = nullptr;  // one of the facts'
  mutable std::optional<NameHashes> hashes_{};      // of that name
};

// Most flows have one name, which several tables are asked about.
const NameHashes& Decider::hashes_of(const base::HostName& name) const {
  if (hashed_ != &name || !hashes_) hashes_.emplace(name.text());
  hashed_ = &name;
  return *hashes_;
}

Decision Decider::denied_by(const DenyRecord& record, std::string_view override_header) const {
  Decision decision = deny(Reason::kDeniedByPolicy);
  decision.matched_host = record.pattern;
  decision.rule = data_.line(record.origin);
  decision.override_header = override_header;
  return decision;
}

void Decider::ask_denials() {
  if (data_.denies.empty() || facts_.phase == Phase::kPacket) return;
  if (facts_.host) denial_ = data_.denies.about(hashes_of(*facts_.host), facts_);
  if (!facts_.sni || (facts_.host && *facts_.host == *facts_.sni)) return;
  const auto of_sni = data_.denies.about(hashes_of(*facts_.sni), facts_);
  if (denial_.denies == nullptr) denial_ = of_sni;
}

// An entry of `deny:` wins over whatever else is said. What is not read may be anything: one that is about some
// requests then denies the whole connection.
Decision Decider::judged(Decision decision) const {
  if (data_.denies.empty() || decision.reason == Reason::kNameMismatch) return decision;
  if (facts_.dialled) {
    const auto* record = data_.denies.about(*facts_.dialled, facts_.port, facts_.transport);
    if (record != nullptr) {
      decision = denied_by(*record);
      decision.refused_address = facts_.dialled;
      return decision;
    }
  }
  decision.denied_addresses = data_.denies.addresses();
  if (facts_.phase == Phase::kPacket) return decision;
  if (denial_.denies != nullptr) return denied_by(*denial_.denies, denial_.override_header);
  if (facts_.phase == Phase::kDns) return decision;
  const bool unread = decision.allowed() && decision.reason == Reason::kEndpointAllowed;
  if (unread && denial_.reaches != nullptr) return denied_by(*denial_.reaches);
  decision.deny_pending = denial_.pending;
  decision.denies_some = denial_.reaches != nullptr;
  decision.by_method = decision.by_method || denial_.by_method;
  decision.by_path = decision.by_path || denial_.by_path;
  if (decision.allowed() && denial_.pending) decision.request_rules_pending = true;
  return decision;
}

const DenyRecord* Decider::denied_destination() const {
  const auto& destination = facts_.original_destination;
  if (!destination || data_.denies.empty()) return nullptr;
  const auto* record = data_.denies.about(destination->address, destination->port, facts_.transport);
  if (record != nullptr || !facts_.translated) return record;
  return data_.denies.about(*facts_.translated, destination->port, facts_.transport);
}

// Of a connection that is not read, and leads to an address of this name.
const DenyRecord* Decider::denied_name(const base::HostName& name) const {
  return data_.denies.empty() ? nullptr : data_.denies.about(hashes_of(name), facts_).reaches;
}

Decision Decider::about(const HostRecord& record, Action action, Reason reason, const Origin& origin) const {
  return {.action = action,
          .reason = reason,
          .matched_host = record.pattern,
          .rule = data_.line(origin),
          .permitted_addresses = data_.addresses_of(record)};
}

Decision Decider::allowed_by(const EndpointRecord& endpoint) const {
  return {.action = Action::kAllow,
          .reason = Reason::kEndpointAllowed,
          .matched_host = endpoint.name,
          .rule = data_.line(endpoint.origin),
          .permitted_addresses = endpoint.permitted};
}

bool Decider::serves(const EndpointRecord& endpoint, std::uint16_t port) const {
  return endpoint.transport == facts_.transport && base::contains(endpoint.ports, port);
}

// A name is resolved if anything at all could be allowed there.
Decision Decider::dns() const {
  if (!facts_.host) return deny(Reason::kInvalidName);
  const auto found = find(*facts_.host);
  const EndpointGroup* group = found.endpoints == HostTable::kNone ? nullptr : &data_.groups[found.endpoints];
  if (const HostRecord* record = data_.record(found)) {
    auto decision = about(*record, Action::kAllow, Reason::kAllowed, record->origin);
    decision.request_rules_pending = !record->open;
    if (group != nullptr) decision.permitted_addresses = group->addresses;
    decision.txt = record->txt || (group != nullptr && has_txt(*group));
    return decision;
  }
  if (group == nullptr) return deny(Reason::kHostNotAllowed);
  Decision decision;
  for (const auto index : group->endpoints) {
    decision = allowed_by(data_.endpoints[index]);
    if (decision.allowed()) break;
  }
  decision.permitted_addresses = group->addresses;
  decision.txt = has_txt(*group);
  return decision;
}

bool Decider::has_txt(const EndpointGroup& group) const {
  return std::ranges::any_of(group.endpoints, [&](std::uint32_t index) { return data_.endpoints[index].txt; });
}

Decision Decider::tls() const {
  if (!facts_.sni) return deny(Reason::kNoSni);
  if (names_disagree()) return deny(Reason::kNameMismatch);
  const auto decision = https_to(*facts_.sni);
  // Where TLS ends at the gateway, the inner hello is never opened by anybody.
  const bool unseen = decision.allowed() && decision.treatment == Treatment::kPassThrough;
  if (!unseen || !facts_.encrypted_client_hello || data_.ech == EchMode::kPass) return decision;
  auto refused = decision;
  refused.action = Action::kDeny;
  refused.reason = Reason::kEchNotPermitted;
  return refused;
}

// An https connection of which no request is known yet.
Decision Decider::https_to(const base::HostName& name) const {
  if (facts_.port == base::kHttpsPort && facts_.transport != Transport::kTcp) return deny(Reason::kQuicRefused);
  const HostRecord* record = record_deciding(name, Scheme::kHttps);
  if (record == nullptr) return beyond_domains(name);
  const auto https = https_of(*record);
  if (https.verdict != HttpsVerdict::kInspect) return unopened(*record, https);
  auto decision = about(*record, Action::kAllow, Reason::kRequestRuleMatched, record->origin);
  decision.request_rules_pending = !https.open;
  decision.treatment = Treatment::kInspect;
  return decision;
}

// Requests that an entry of `deny:` is about can only be told apart inside.
HttpsOnPort Decider::https_of(const HostRecord& record) const {
  auto https = https_on(data_, record, facts_.port);
  if (https.verdict == HttpsVerdict::kPassThrough && denial_.looks_inside) https.verdict = HttpsVerdict::kInspect;
  return https;
}

// Of https that is never looked into.
Decision Decider::unopened(const HostRecord& record, const HttpsOnPort& https) const {
  if (https.verdict == HttpsVerdict::kNever) {
    return about(record, Action::kDeny, Reason::kHttpsNotPermitted, record.origin);
  }
  auto decision = about(record, Action::kAllow,
                        opens(record, Scheme::kHttps) ? Reason::kAllowed : Reason::kRequestRuleMatched, https.origin);
  decision.admitted_alpn = data_.alpn_of(record);
  return decision;
}

// The entry of `domains:` that decides this scheme on the flow's port.
const HostRecord* Decider::record_deciding(const base::HostName& name, Scheme scheme) const {
  if (facts_.transport != Transport::kTcp) return nullptr;
  const HostRecord* record = data_.record(find(name));
  return record != nullptr && decides_port(data_, *record, scheme, facts_.port) ? record : nullptr;
}

// Everything may pass, on the port that the scheme has where no entry says another.
bool Decider::opens(const HostRecord& record, Scheme scheme) const {
  return record.open && facts_.port == (scheme == Scheme::kHttp ? base::kHttpPort : base::kHttpsPort);
}

Decision Decider::admitted_by(const HostRecord& record, const Rule& rule) const {
  auto decision = about(record, Action::kAllow, Reason::kRequestRuleMatched, rule.origin);
  decision.by_method = rule.terms.is_about_methods();
  decision.by_path = rule.terms.is_about_paths();
  if (facts_.scheme == Scheme::kHttps) decision.transforms = rule.terms.transforms;
  return decision;
}

// The header by which a request that matches may mean something else in what the rule is about.
std::string_view Decider::override_of(const RuleTerms& terms) const {
  if (terms.is_about_paths() && !facts_.overrides.path.empty()) return facts_.overrides.path;
  return terms.is_about_methods() ? facts_.overrides.method : std::string_view{};
}

Decision Decider::first_match(const HostRecord& record, Scheme scheme) const {
  const auto rules = data_.rules_of(record);
  const bool open = opens(record, scheme);
  if (open && rules.empty()) return about(record, Action::kAllow, Reason::kAllowed, record.origin);
  RequestView request{.scheme = scheme, .port = facts_.port, .method = facts_.method, .target = {}};
  if (facts_.target) request.target = parse_target(*facts_.target);
  const Rule* pending = nullptr;
  const Rule* overridden = nullptr;
  for (const Rule& rule : rules) {
    const Match found = match(rule.terms, request);
    if (found == Match::kNo) continue;
    if (!override_of(rule.terms).empty()) {
      overridden = overridden == nullptr ? &rule : overridden;
      continue;
    }
    if (found == Match::kYes) return admitted_by(record, rule);
    if (found == Match::kPending && pending == nullptr) pending = &rule;
  }
  if (open) return about(record, Action::kAllow, Reason::kAllowed, record.origin);
  if (pending == nullptr && overridden != nullptr) {
    auto decision = about(record, Action::kDeny, Reason::kOverrideHeader, overridden->origin);
    decision.override_header = override_of(overridden->terms);
    return decision;
  }
  if (pending == nullptr) return about(record, Action::kDeny, Reason::kNoRuleMatched, record.origin);
  auto decision = about(record, Action::kAllow, Reason::kRequestRuleMatched, pending->origin);
  decision.request_rules_pending = true;
  return decision;
}

Decision Decider::https_request(const HostRecord& record) const {
  const auto https = https_of(record);
  if (https.verdict != HttpsVerdict::kInspect) return unopened(record, https);
  auto decision = first_match(record, Scheme::kHttps);
  decision.treatment = Treatment::kInspect;
  return decision;
}

Decision Decider::http_request(const HostRecord& record) const {
  if (!has_http_on(data_, record, facts_.port)) {
    return about(record, Action::kDeny, Reason::kSchemeNotPermitted, record.origin);
  }
  return first_match(record, Scheme::kHttp);
}

// Never allowed. Asked of the very address that it names, it is what `endpoints:` speak about; those of ports 80 and
// 443 take their connections before anything of them is read, so that only what none of them allows comes here.
Decision Decider::nameless_request() const {
  const auto& destination = facts_.original_destination;
  const bool addressed = !facts_.sni && facts_.host_address && destination &&
                         facts_.host_address->unmapped() == destination->address.unmapped();
  if (const auto* record = addressed ? denied_destination() : nullptr) return denied_by(*record);
  if (!addressed || addressed_endpoint(*destination).allowed()) return deny(Reason::kInvalidName);
  return deny(Reason::kEndpointNotAllowed);
}

Decision Decider::http() const {
  if (!facts_.host) return nameless_request();
  if (names_disagree()) return deny(Reason::kNameMismatch);
  if (facts_.scheme == Scheme::kNone) return deny(Reason::kMalformed);
  if (facts_.transport != Transport::kTcp) return deny(Reason::kQuicRefused);
  const bool https = facts_.scheme == Scheme::kHttps;
  const HostRecord* record = record_deciding(*facts_.host, facts_.scheme);
  if (record == nullptr) return beyond_domains(*facts_.host);
  return https ? https_request(*record) : http_request(*record);
}

Decision Decider::connect() const {
  if (names_disagree()) return deny(Reason::kNameMismatch);
  if (facts_.host) return tunnel_to(*facts_.host);
  // CONNECT to an address: the authority is the destination.
  const bool addressed = facts_.original_destination && facts_.original_destination->port == facts_.port;
  if (!addressed) return deny(Reason::kInvalidName);
  if (const auto* record = denied_destination()) return denied_by(*record);
  return addressed_endpoint(*facts_.original_destination);
}

// What it carries is not known yet: anything that may be.
Decision Decider::tunnel_to(const base::HostName& name) const {
  auto endpoint = named_endpoint(name);
  const HostRecord* record = facts_.opaque ? nullptr : record_deciding(name, Scheme::kHttps);
  if (facts_.opaque) return endpoint;
  if (record == nullptr) return facts_.port == base::kHttpsPort ? https_to(name) : endpoint;
  auto decision = https_to(name);
  if (!decision.allowed() && has_http_on(data_, *record, facts_.port)) {
    decision = about(*record, Action::kAllow, Reason::kRequestRuleMatched, record->origin);
    decision.request_rules_pending = true;
  }
  return decision.allowed() || !endpoint.allowed() ? decision : endpoint;
}

Decision Decider::named_endpoint(const base::HostName& name) const {
  const auto found = find(name);
  if (found.endpoints != HostTable::kNone) {
    const EndpointRecord* first = nullptr;
    for (const auto index : data_.groups[found.endpoints].endpoints) {
      const auto& endpoint = data_.endpoints[index];
      if (!serves(endpoint, facts_.port)) continue;
      if (first == nullptr || (first->addresses.empty() && !endpoint.addresses.empty())) first = &endpoint;
    }
    if (first != nullptr) return allowed_by(*first);
  }
  const bool known = found.record != HostTable::kNone || found.endpoints != HostTable::kNone;
  return deny(known ? Reason::kEndpointNotAllowed : Reason::kHostNotAllowed);
}

// A host or a port of it that `domains:` does not list: it may be an endpoint's.
Decision Decider::beyond_domains(const base::HostName& name) const {
  auto decision = named_endpoint(name);
  const bool usual = facts_.port == (facts_.scheme == Scheme::kHttp ? base::kHttpPort : base::kHttpsPort);
  const bool listed = find(name).record != HostTable::kNone;
  if (decision.reason == Reason::kEndpointNotAllowed && usual && !listed) decision = deny(Reason::kHostNotAllowed);
  return decision;
}

Decision Decider::addressed_endpoint(const base::Endpoint& destination) const {
  const auto address = destination.address.unmapped();
  const EndpointRecord* range = nullptr;
  for (const auto& endpoint : data_.endpoints) {
    const bool about = endpoint.by_address && serves(endpoint, destination.port) && endpoint.cidr.contains(address);
    if (!about) continue;
    // The very address says more than a range: a range does not mean the gateway's own.
    if (endpoint.cidr.prefix_length() == address.bits()) return allowed_by(endpoint);
    if (range == nullptr) range = &endpoint;
  }
  return range == nullptr ? deny(Reason::kEndpointNotAllowed) : allowed_by(*range);
}

Decision Decider::resolved_endpoint(const EndpointRecord& endpoint, const base::HostName& name,
                                    const base::Endpoint& destination) const {
  const auto fixed =
      endpoint.name == kEveryHost ? std::span<const base::IpAddress>{} : data_.static_addresses(name.text());
  const auto leads_to = facts_.translated.value_or(destination.address);
  Decision decision = allowed_by(endpoint);
  decision.endpoint_name = &name;
  if (may_dial(leads_to, endpoint.permitted) || may_dial_static(destination.address, fixed)) {
    if (decision.allowed()) decision.static_addresses = fixed;
    return decision;
  }
  decision.action = Action::kDeny;
  decision.reason = Reason::kPrivateAddress;
  decision.refused_address = destination.address;
  return decision;
}

Decision Decider::endpoint_of_resolved_name(const base::Endpoint& destination) const {
  Decision refused = deny(Reason::kEndpointNotAllowed);
  for (const auto& name : facts_.resolved_names) {
    const auto found = find(name);
    if (found.endpoints == HostTable::kNone || denied_name(name) != nullptr) continue;
    for (const auto index : data_.groups[found.endpoints].endpoints) {
      const auto& endpoint = data_.endpoints[index];
      if (!serves(endpoint, destination.port)) continue;
      refused = resolved_endpoint(endpoint, name, destination);
      if (refused.reason != Reason::kPrivateAddress) return refused;
    }
  }
  return refused;
}

// A packet of a flow that is neither HTTP nor TLS on their ports: only `endpoints:` speak about it.
Decision Decider::packet() const {
  if (!facts_.original_destination) return deny(Reason::kMalformed);
  const auto& destination = *facts_.original_destination;
  if (const auto* record = denied_destination()) return denied_by(*record);
  const DenyRecord* by_name = nullptr;
  for (const auto& name : facts_.resolved_names) {
    if (by_name == nullptr) by_name = denied_name(name);
  }
  auto decision = addressed_endpoint(destination);
  if (by_name != nullptr && decision.allowed()) return denied_by(*by_name);
  if (decision.reason == Reason::kEndpointNotAllowed) decision = endpoint_of_resolved_name(destination);
  if (by_name != nullptr && !decision.allowed()) return denied_by(*by_name);
  const bool quic = facts_.transport == Transport::kUdp && destination.port == base::kHttpsPort;
  if (decision.reason == Reason::kEndpointNotAllowed && quic) return deny(Reason::kQuicRefused);
  return decision;
}

// Special-use names are none of the tables' business: what is said of them is said in every phase.
Decision Decider::answer() {
  const auto kind_of = [](const std::optional<base::HostName>& name) {
    return name ? special_name(*name) : SpecialName::kNone;
  };
  if (is_never_forwarded(kind_of(facts_.host)) || is_never_forwarded(kind_of(facts_.sni))) {
    return deny(names_disagree() ? Reason::kNameMismatch : Reason::kSpecialUseName);
  }
  ask_denials();
  auto decision = judged(by_phase());
  const bool local = kind_of(facts_.host) == SpecialName::kLocal || kind_of(facts_.sni) == SpecialName::kLocal;
  const auto& name = facts_.phase == Phase::kTls ? facts_.sni : facts_.host;
  if (name && decision.allowed() && !data_.hosts.empty() && decision.matched_host != kEveryHost) {
    decision.static_addresses = data_.static_addresses(name->text());
  }
  decision.local_name = !decision.allowed() && decision.reason == Reason::kHostNotAllowed && local;
  return decision;
}

Decision Decider::by_phase() const {
  switch (facts_.phase) {
    case Phase::kDns:
      return dns();
    case Phase::kTls:
      return tls();
    case Phase::kHttp:
      return http();
    case Phase::kConnect:
      return connect();
    case Phase::kPacket:
      return packet();
  }
  return deny(Reason::kMalformed);
}

}  // namespace

Decision Policy::decide(const FlowFacts& facts) const {
  return for_client(facts.client).decide_itself(facts);
}

Decision Policy::decide_itself(const FlowFacts& facts) const {
  return Decider(*data_, facts).answer();
}

}  // namespace soleroute::policy
