// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/search_list.h"

#include <algorithm>

#include "policy/host_pattern.h"
#include "policy/special_names.h"

namespace soleroute::gateway::dns {
namespace {

std::size_t dots_in(std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count(name, '.'));
}

bool is_allowed(const policy::Policy& policy, const base::IpAddress& client, const base::HostName& name) {
  if (policy::special_name(name) == policy::SpecialName::kGateway) return true;
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kDns;
  facts.client = client;
  facts.host = name;
  return policy.decide(facts).allowed();
}

// Domains that a registry delegates names below are no search domains: amazon.com.au is a name that a person typed,
// even if amazon.com is allowed.
bool may_be_search_domain(std::string_view domain) {
  return domain.contains('.') && !policy::is_public_suffix(domain);
}

struct Completed {
  base::HostName typed;
  bool known = false;  // the domain behind it is of the list
};

// The first labels of `name`, at least two and not all, if the policy allows them; with a known domain behind them
// before any other.
std::optional<Completed> allowed_prefix(const base::HostName& name, const base::IpAddress& client,
                                        const policy::Policy& policy, const SearchList& list) {
  const std::string_view text = name.text();
  std::optional<Completed> guessed;
  std::size_t labels = 1;
  for (auto dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.', dot + 1), ++labels) {
    if (labels > SearchedNames::kMaxTypedLabels) break;
    if (labels < 2) continue;
    const bool known = list.has(text.substr(dot + 1));
    if (!known && (guessed || !may_be_search_domain(text.substr(dot + 1)))) continue;
    auto prefix = base::HostName::parse(text.substr(0, dot));
    if (!prefix || !is_allowed(policy, client, *prefix)) continue;
    Completed found{std::move(*prefix), known};
    if (known) return found;
    guessed = std::move(found);
  }
  return guessed;
}

}  // namespace

bool SearchList::has(std::string_view domain) const {
  return std::ranges::any_of(domains, [&](const base::HostName& known) { return known.text() == domain; });
}

SearchedNames::Heard& SearchedNames::heard(Client& client, const base::HostName& name, Clock::time_point now) {
  const auto found = std::ranges::find(client, name, &Heard::name);
  Heard entry{.name = name, .when = now};
  if (found != client.end()) {
    if (now - found->when < kRemembered) entry = *found;
    client.erase(found);
  }
  if (client.size() >= kNamesPerClient) client.erase(client.begin());
  entry.when = now;
  return client.emplace_back(std::move(entry));
}

const SearchedNames::Heard* SearchedNames::recall(const Client& client, const base::HostName& name,
                                                  Clock::time_point now) {
  const auto found = std::ranges::find(client, name, &Heard::name);
  return found == client.end() || now - found->when >= kRemembered ? nullptr : &*found;
}

// What stands before the longest search domain, if a resolver with this list asks so: the name has too few dots to be
// asked as it is, or was asked as it is and does not exist.
std::optional<base::HostName> SearchedNames::before_domain(const base::HostName& name, const Client& client,
                                                           Clock::time_point now) const {
  std::optional<base::HostName> found;
  for (const auto& domain : list_.domains) {
    if (!name.is_below(domain.text())) continue;
    const auto length = name.text().size() - domain.text().size() - 1;
    auto typed = base::HostName::parse(std::string_view(name.text()).substr(0, length));
    if (!typed || (found && found->text().size() <= typed->text().size())) continue;
    const auto* asked = recall(client, *typed, now);
    const bool asked_before = asked != nullptr && asked->missing;
    if (asked_before || dots_in(typed->text()) < list_.ndots) found = std::move(*typed);
  }
  return found;
}

SearchedNames::Judgement SearchedNames::judge(const base::IpAddress& client, const base::HostName& name,
                                              const policy::Policy& policy, Clock::time_point now) {
  auto prefix = allowed_prefix(name, client, policy, list_);
  if (!prefix && list_.domains.empty()) return {};
  const std::lock_guard lock(mutex_);
  Client& known = clients_.touch(client);
  if (const auto* before = recall(known, name, now); before != nullptr && before->completed) return {};
  auto typed = before_domain(name, known, now);
  const bool guessed = !typed && prefix && !prefix->known;
  if (!typed && prefix) typed = std::move(prefix->typed);
  if (!typed) return {};
  const auto* asked = recall(known, *typed, now);
  const bool meant = asked != nullptr && asked->missing && !is_allowed(policy, client, *typed);
  heard(known, *typed, now).completed = true;
  if (meant) return {.verdict = Verdict::kMeant, .typed = std::move(typed)};
  heard(known, name, now).missing = true;
  return {.verdict = guessed ? Verdict::kGuessed : Verdict::kCompleted, .typed = std::move(typed)};
}

}  // namespace soleroute::gateway::dns
