// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_set>

#include "policy/difference_answers.h"
#include "policy/difference_parts.h"
#include "policy/difference_words.h"
#include "policy/policy_data.h"
#include "policy/rule.h"
#include "policy/special_names.h"

namespace soleroute::policy {
namespace {

constexpr std::string_view kEverything = "everything, http and https";

class Comparison {
 public:
  Comparison(const Policy& before, const Policy& after)
      : before_(before), after_(after), before_side_(before.data()), after_side_(after.data()) {}

  [[nodiscard]] std::vector<Change> changes();

 private:
  void compare_settings();
  void compare_hosts();
  void compare_pattern(std::string_view pattern);
  [[nodiscard]] bool says_the_same(const base::HostName& name) const;
  [[nodiscard]] Found compare_name(const base::HostName& name) const;
  void compare_requests(const base::HostName& name, Found& found) const;
  void compare_part(const base::HostName& name, const Part& part, std::map<Words, base::PortRanges>& endpoints,
                    Found& found) const;
  void compare_secrets(const Decision& old, const Decision& now, Found& found) const;
  void compare_ranges();
  void compare_denied_ranges();
  void compare_denied_address(const base::Endpoint& to, Transport transport);
  void compare_address(const base::Endpoint& to, Transport transport,
                       std::map<std::pair<Words, std::string>, base::PortRanges>& endpoints) const;
  void add(const std::string& subject, const Found& found);
  void add_once(Change change);

  const Policy& before_;
  const Policy& after_;
  Side before_side_;
  Side after_side_;
  std::vector<Change> changes_;
  std::set<std::tuple<Effect, std::string, std::string, std::string, int>> said_;  // by add_once()
};

// In the words of the rule that decides, if one does.
std::string words_of(const Policy::Data& data, const Decision& decision, const base::HostName& name) {
  if (decision.reason == Reason::kAllowed) return std::string(kEverything);
  if (const auto* record = data.record(data.find(name))) {
    for (const auto& rule : data.rules_of(*record)) {
      const auto line = data.line(rule.origin);
      if (line.line == decision.rule.line && line.file == decision.rule.file) return describe(rule.terms);
    }
  }
  return std::string(to_string(decision.reason));
}

FlowFacts facts_of(const base::HostName& name, const Part& part) {
  FlowFacts facts;
  facts.transport = part.transport;
  facts.port = part.port;
  // Asked by name alone, UDP too: no range of either policy hides what an entry for the name says.
  facts.host = name;
  facts.phase = part.scheme == Scheme::kNone ? Phase::kConnect : Phase::kHttp;
  facts.opaque = part.scheme == Scheme::kNone;
  facts.scheme = part.scheme;
  if (facts.opaque) return facts;
  facts.method = part.method;
  facts.target = part.target;
  return facts;
}

std::string denied_words(const Decision& decision, bool still) {
  return fmt::format("{} denied by {}", still ? "now" : "no longer", place_of(decision.rule));
}

void Comparison::compare_secrets(const Decision& old, const Decision& now, Found& found) const {
  for (const auto& transform : now.transforms) {
    if (std::ranges::find(old.transforms, transform) == old.transforms.end()) {
      found.add(words_at(Effect::kOpens, fmt::format("sends {}", describe(transform)), now.rule));
    }
  }
  for (const auto& transform : old.transforms) {
    if (std::ranges::find(now.transforms, transform) == now.transforms.end()) {
      found.add(words_at(Effect::kCloses, fmt::format("no longer sends {}", describe(transform)), old.rule));
    }
  }
}

void Comparison::compare_part(const base::HostName& name, const Part& part,
                              std::map<Words, base::PortRanges>& endpoints, Found& found) const {
  const auto facts = facts_of(name, part);
  const auto old = before_.decide_itself(facts);
  const auto now = after_.decide_itself(facts);
  if (old.allowed() && now.allowed()) {
    compare_secrets(old, now, found);
    if (part.scheme != Scheme::kHttps || old.treatment == now.treatment) return;
    // Without inspection TLS may carry requests for other hosts, and other protocols.
    const bool inspected = now.treatment == Treatment::kInspect;
    found.add(words_at(inspected ? Effect::kChanges : Effect::kOpens,
                       inspected ? "https is inspected now" : "https is not inspected any more", now.rule));
    return;
  }
  if (old.allowed() == now.allowed()) return;
  const bool opens = now.allowed();
  const auto& allowing = opens ? now : old;
  const auto& data = opens ? after_.data() : before_.data();
  const auto effect = opens ? Effect::kOpens : Effect::kCloses;
  const auto& denying = opens ? old : now;
  if (allowing.reason == Reason::kEndpointAllowed) {
    const auto* transport = part.transport == Transport::kUdp ? "udp port" : "tcp port";
    endpoints[words_at(effect, transport, allowing.rule)].push_back(base::just(part.port));
  } else if (denying.reason == Reason::kDeniedByPolicy) {
    found.add(words_at(effect, denied_words(denying, !opens), denying.rule));
  } else {
    found.add(words_at(effect, words_of(data, allowing, name), allowing.rule));
    compare_secrets(opens ? Decision{} : old, opens ? now : Decision{}, found);
  }
}

// The ports of an endpoint as its entry lists them.
std::string ports_at(const Policy::Data& data, const Words& words, const base::PortRanges& met) {
  for (const auto& endpoint : data.endpoints) {
    const auto line = data.line(endpoint.origin);
    if (line.line == words.line && line.file == words.file) return base::to_string(endpoint.ports);
  }
  return base::to_string(met);
}

void Comparison::compare_requests(const base::HostName& name, Found& found) const {
  const auto parts = parts_of(name, before_side_, after_side_, kMaxParts);
  if (parts.empty()) {
    found.add({Effect::kOpens, "more rules than can be compared", {}, 0});
    return;
  }
  std::map<Words, base::PortRanges> endpoints;
  for (const auto& part : parts) compare_part(name, part, endpoints, found);
  for (const auto& [words, ports] : endpoints) {
    auto whole = words;
    const auto& data = words.effect == Effect::kOpens ? after_.data() : before_.data();
    whole.what += " " + ports_at(data, words, ports);
    found.add(std::move(whole));
  }
}

bool same_terms(std::span<const Rule> one, std::span<const Rule> other) {
  return std::ranges::equal(one, other, {}, &Rule::terms, &Rule::terms);
}

bool same_record(const Policy::Data& one, const HostRecord* left, const Policy::Data& other, const HostRecord* right) {
  if (left == nullptr || right == nullptr) return left == right;
  return (left->pattern == kEveryHost) == (right->pattern == kEveryHost) && left->open == right->open &&
         left->https == right->https && left->https_open == right->https_open &&
         left->inspect_wanted == right->inspect_wanted && left->txt == right->txt &&
         std::ranges::equal(one.alpn_of(*left), other.alpn_of(*right)) &&
         same_terms(one.rules_of(*left), other.rules_of(*right)) &&
         std::ranges::equal(one.own_addresses_of(*left), other.own_addresses_of(*right));
}

bool same_endpoint(const EndpointRecord& one, const EndpointRecord& other) {
  return one.transport == other.transport && one.by_address == other.by_address && one.cidr == other.cidr &&
         one.ports == other.ports && one.addresses == other.addresses && one.txt == other.txt;
}

std::vector<EndpointRecord> endpoints_of(const Policy::Data& data, const HostTable::Found& found) {
  std::vector<EndpointRecord> out;
  if (found.endpoints == HostTable::kNone) return out;
  for (const auto index : data.groups[found.endpoints].endpoints) out.push_back(data.endpoints[index]);
  return out;
}

bool same_deny(const DenyRecord* one, const DenyRecord* other) {
  const bool ruled = one->rule != nullptr;
  return one->transport == other->transport && one->ports == other->ports && one->by_address == other->by_address &&
         one->range == other->range && ruled == (other->rule != nullptr) &&
         (!ruled || one->rule->terms == other->rule->terms);
}

std::vector<const DenyRecord*> denies_of(const Side& side, const base::HostName& name) {
  std::vector<const DenyRecord*> out;
  side.denies.covering(name.text(), [&](const DenyRecord& record) { out.push_back(&record); });
  return out;
}

// Most hosts: both policies say the same of the name, so they need no comparison part by part.
bool Comparison::says_the_same(const base::HostName& name) const {
  const auto& old = before_side_.data;
  const auto& now = after_side_.data;
  const auto before = old.find(name);
  const auto after = now.find(name);
  return same_record(old, old.record(before), now, now.record(after)) &&
         std::ranges::equal(old.static_addresses(name.text()), now.static_addresses(name.text())) &&
         std::ranges::equal(denies_of(before_side_, name), denies_of(after_side_, name), same_deny) &&
         std::ranges::equal(endpoints_of(old, before), endpoints_of(now, after), same_endpoint);
}

// The line that allows everything to the name, where its policy says nothing else of it and `other` says nothing.
std::optional<SourceLine> plain_line(const Side& side, const Side& other, const base::HostName& name) {
  const auto found = side.data.find(name);
  const auto elsewhere = other.data.find(name);
  const auto* record = side.data.record(found);
  if (record == nullptr || found.endpoints != HostTable::kNone) return std::nullopt;
  if (elsewhere.record != HostTable::kNone || elsewhere.endpoints != HostTable::kNone) return std::nullopt;
  const bool plain = record->open && side.data.rules_of(*record).empty() && !record->txt &&
                     record->alpn == HostTable::kNone && side.data.own_addresses_of(*record).empty() &&
                     side.data.static_addresses(name.text()).empty() && denies_of(side, name).empty() &&
                     denies_of(other, name).empty() && special_name(name) == SpecialName::kNone;
  return plain ? std::optional(side.data.line(record->origin)) : std::nullopt;
}

Found Comparison::compare_name(const base::HostName& name) const {
  Found found;
  for (const auto effect : {Effect::kOpens, Effect::kCloses}) {
    const bool opens = effect == Effect::kOpens;
    const auto line = opens ? plain_line(after_side_, before_side_, name) : plain_line(before_side_, after_side_, name);
    if (!line) continue;
    found.add(words_at(effect, std::string(kEverything), *line));
    return found;
  }
  compare_requests(name, found);
  compare_answers(before_, after_, name, found);
  return found;
}

void Comparison::add(const std::string& subject, const Found& found) {
  for (const auto& words : found.list()) {
    changes_.push_back({words.effect, {}, subject, words.what, words.file, words.line});
  }
}

// A wildcard is asked by a name below it that no policy has; its own name is decided the same, unless it is a pattern
// too.
void Comparison::compare_pattern(std::string_view pattern) {
  std::string text(suffix_of(pattern));
  if (is_wildcard(pattern)) text = text.empty() ? fmt::format("{}.com", kFresh) : fmt::format("{}.{}", kFresh, text);
  const auto name = base::HostName::parse(text);
  if (name && !says_the_same(*name)) add(std::string(pattern), compare_name(*name));
}

std::vector<std::string> patterns_of(const Policy::Data& data) {
  std::vector<std::string> out;
  out.reserve(data.records.size());
  for (const auto& record : data.records) out.emplace_back(record.pattern);
  for (const auto& endpoint : data.endpoints) {
    if (!endpoint.by_address) out.push_back(endpoint.name);
  }
  for (const auto& record : data.denies.records()) {
    if (!record.by_address) out.push_back(record.pattern);
  }
  for (const auto& [name, host] : data.hosts) out.push_back(name);
  return out;
}

void Comparison::compare_hosts() {
  std::unordered_set<std::string> seen;
  for (const auto* side : {&after_, &before_}) {
    for (const auto& pattern : patterns_of(side->data())) {
      if (seen.insert(pattern).second) compare_pattern(pattern);
    }
  }
}

bool means_own(const Decision& decision) {
  const auto range = base::Cidr::parse(decision.matched_host);
  return decision.allowed() && range && may_mean_own(*range);
}

void Comparison::add_once(Change change) {
  if (said_.insert(std::tuple{change.effect, change.subject, change.what, change.file, change.line}).second) {
    changes_.push_back(std::move(change));
  }
}

void Comparison::compare_address(const base::Endpoint& to, Transport transport,
                                 std::map<std::pair<Words, std::string>, base::PortRanges>& endpoints) const {
  FlowFacts facts;
  facts.phase = Phase::kPacket;
  facts.transport = transport;
  facts.original_destination = to;
  facts.port = to.port;
  const auto old = before_.decide_itself(facts);
  const auto now = after_.decide_itself(facts);
  const bool own = old.allowed() && now.allowed() && means_own(old) != means_own(now);
  if (old.allowed() == now.allowed() && !own) return;
  const bool opens = own ? means_own(now) : now.allowed();
  const auto& allowing = opens ? now : old;
  const auto* what = transport == Transport::kUdp ? "udp port" : "tcp port";
  auto words = words_at(opens ? Effect::kOpens : Effect::kCloses, what, allowing.rule);
  endpoints[{std::move(words), std::string(allowing.matched_host)}].push_back(base::just(to.port));
}

// Endpoints by address: one address of each part, at one port of each stretch.
void Comparison::compare_ranges() {
  Ranges all;
  all.add_endpoints(before_.data(), -1);
  all.add_endpoints(after_.data(), 1);
  all.add_denies(before_.data(), -1);
  all.add_denies(after_.data(), 1);
  for (const auto& address : all.changed_addresses()) {
    std::map<std::pair<Words, std::string>, base::PortRanges> endpoints;
    for (const auto port : all.ports_at(address)) {
      compare_address({address, port}, Transport::kTcp, endpoints);
      compare_address({address, port}, Transport::kUdp, endpoints);
    }
    for (const auto& [key, met] : endpoints) {
      const auto& [words, range] = key;
      const auto& data = words.effect == Effect::kOpens ? after_.data() : before_.data();
      add_once({words.effect,
                {},
                range,
                fmt::format("{} {}", words.what, ports_at(data, words, met)),
                words.file,
                words.line});
    }
  }
}

void Comparison::compare_denied_address(const base::Endpoint& to, Transport transport) {
  const auto* old = before_.data().denies.about(to.address, to.port, transport);
  const auto* now = after_.data().denies.about(to.address, to.port, transport);
  if ((old == nullptr) == (now == nullptr)) return;
  const auto* record = old != nullptr ? old : now;
  const auto line = (old != nullptr ? before_ : after_).data().line(record->origin);
  add_once({old != nullptr ? Effect::kOpens : Effect::kCloses,
            {},
            record->pattern,
            old != nullptr ? "connections of allowed names may lead there" : "no connection may lead there",
            std::string(line.file),
            line.line});
}

// Ranges that `deny:` lists: no connection to an allowed name may lead there.
void Comparison::compare_denied_ranges() {
  Ranges all;
  all.add_denies(before_.data(), -1);
  all.add_denies(after_.data(), 1);
  for (const auto& address : all.changed_addresses()) {
    for (const auto port : all.ports_at(address)) {
      compare_denied_address({address, port}, Transport::kTcp);
      compare_denied_address({address, port}, Transport::kUdp);
    }
  }
}

void Comparison::compare_settings() {
  const auto& old = before_.data();
  const auto& now = after_.data();
  const auto say = [&](Effect effect, std::string what) {
    changes_.push_back({effect, {}, "the whole policy", std::move(what), {}, 0});
  };
  if (old.mode != now.mode) {
    const bool opens = now.mode == Mode::kObserve;
    say(opens ? Effect::kOpens : Effect::kCloses, opens ? "mode observe: nothing public is denied" : "mode enforce");
  }
  if (old.ech != now.ech) {
    const bool opens = now.ech == EchMode::kPass;
    say(opens ? Effect::kOpens : Effect::kCloses, opens ? "ech pass" : "ech deny");
  }
  if (old.denied_names != now.denied_names) {
    say(Effect::kChanges,
        now.denied_names == DeniedNames::kNxdomain ? "denied_names nxdomain" : "denied_names address");
  }
  const auto before = listed_of(old);
  const auto after = listed_of(now);
  for (const auto& range : added_ranges(before, after)) {
    say(Effect::kOpens, fmt::format("every allowed name may have addresses in {}", range.to_string()));
  }
  for (const auto& range : added_ranges(after, before)) {
    say(Effect::kCloses, fmt::format("every allowed name may have addresses in {}", range.to_string()));
  }
}

std::vector<Change> Comparison::changes() {
  compare_settings();
  compare_hosts();
  compare_ranges();
  compare_denied_ranges();
  return std::move(changes_);
}

}  // namespace

std::vector<Change> difference(const Policy& before, const Policy& after) {
  std::vector<Change> changes;
  std::set<std::pair<const Policy*, const Policy*>> compared;
  for (const auto& client : clients_of(before, after)) {
    const auto& old = before.for_client(client);
    const auto& now = after.for_client(client);
    if (!compared.emplace(&old, &now).second) continue;
    for (auto& change : Comparison(old, now).changes()) {
      change.agent = now.agent_name().empty() ? old.agent_name() : now.agent_name();
      // Those of IPv4 came first: these are denied where an agent could leave its policy by its other family.
      if (change.agent.empty() && client.is_v6()) change.subject += " for IPv6 clients that are no agent";
      changes.push_back(std::move(change));
    }
  }
  return changes;
}

}  // namespace soleroute::policy
