// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/difference_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/web_ports.h"
#include "policy/difference_parts.h"
#include "policy/policy_data.h"

namespace soleroute::policy {

std::vector<base::Cidr> listed_of(const Policy::Data& data) {
  std::vector<base::Cidr> out;
  out.reserve(data.listed.size());
  for (const auto& listed : data.listed) out.push_back(listed.range);
  return out;
}

namespace {

// Those that this policy lists for the name, and not for all names.
std::vector<base::Cidr> own_ranges(const Policy::Data& data, const base::HostName& name) {
  const auto found = data.find(name);
  std::vector<base::Cidr> out;
  if (const auto* record = data.record(found)) {
    const auto own = data.own_addresses_of(*record);
    out.assign(own.begin(), own.end());
  }
  if (found.endpoints != HostTable::kNone) {
    for (const auto index : data.groups[found.endpoints].endpoints) {
      const auto& addresses = data.endpoints[index].addresses;
      out.insert(out.end(), addresses.begin(), addresses.end());
    }
  }
  const auto all = listed_of(data);
  std::erase_if(out, [&](const base::Cidr& range) { return std::ranges::find(all, range) != all.end(); });
  return out;
}

// What one policy says of a name in answers.
struct Answers {
  const Policy& policy;
  Decision decision;
  std::vector<base::Cidr> ranges;  // of this name alone

  Answers(const Policy& of, const base::HostName& name) : policy(of) {
    FlowFacts facts;
    facts.host = name;
    decision = policy.decide_itself(facts);
    if (decision.allowed()) ranges = own_ranges(policy.data(), name);
  }
};

void add_opened(const Answers& old, const Answers& now, Found& found) {
  const auto add = [&](std::string what) { found.add(words_at(Effect::kOpens, std::move(what), now.decision.rule)); };
  const auto whole = listed_of(old.policy.data());
  for (const auto& range : added_ranges(old.ranges, now.ranges)) {
    if (!added_ranges(whole, {&range, 1}).empty()) add(fmt::format("may have addresses in {}", range.to_string()));
  }
  const auto before = old.decision.static_addresses;
  for (const auto& address : now.decision.static_addresses) {
    const bool known = std::ranges::find(before, address) != before.end();
    if (!known) add(fmt::format("has the address {} by 'hosts:'", address.to_string()));
  }
  if (now.decision.txt && !old.decision.txt) add("TXT records");
}

void add_closed(const Answers& old, const Answers& now, Found& found) {
  const auto add = [&](std::string what) { found.add(words_at(Effect::kCloses, std::move(what), old.decision.rule)); };
  for (const auto& range : added_ranges(now.ranges, old.ranges)) {
    add(fmt::format("may have addresses in {}", range.to_string()));
  }
  if (old.decision.txt && !now.decision.txt) add("TXT records");
}

// Other protocols than HTTP inside TLS.
void compare_protocols(const Policy& before, const Policy& after, const base::HostName& name, Found& found) {
  FlowFacts tls;
  tls.phase = Phase::kTls;
  tls.sni = name;
  tls.port = base::kHttpsPort;
  const auto old = before.decide_itself(tls);
  const auto now = after.decide_itself(tls);
  for (const auto& protocol : now.admitted_alpn) {
    if (std::ranges::find(old.admitted_alpn, protocol) != old.admitted_alpn.end()) continue;
    found.add(words_at(Effect::kOpens, fmt::format("TLS for {}", protocol), now.rule));
  }
}

}  // namespace

void compare_answers(const Policy& before, const Policy& after, const base::HostName& name, Found& found) {
  const Answers old(before, name);
  const Answers now(after, name);
  if (now.decision.allowed()) add_opened(old, now, found);
  if (old.decision.allowed()) add_closed(old, now, found);
  compare_protocols(before, after, name, found);
}

}  // namespace soleroute::policy
