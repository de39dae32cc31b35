// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/resolver.h"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "gateway/dns/await.h"
#include "gateway/dns/cache.h"
#include "gateway/dns/exchange.h"
#include "gateway/dns/static_names.h"
#include "gateway/dns/upstream_order.h"
#include "policy/special_names.h"

namespace soleroute::gateway::dns {
namespace {

namespace asio = boost::asio;
using sniffer::DnsType;
using Waiter = asio::steady_timer;
using SharedSet = std::shared_ptr<const RecordSet>;

// A negative answer without a SOA says nothing about how long it holds.
constexpr std::chrono::seconds kUnstatedNegativeTtl{5};
// Where an answer from before can be told instead, upstream has so long (RFC 8767 section 5).
constexpr std::chrono::milliseconds kStaleAfter{1800};

SharedSet failure() {
  auto set = std::make_shared<RecordSet>();
  set->failed = true;
  set->expires = Clock::now() + Resolver::kFailureTtl;
  return set;
}

constexpr std::string_view kNoAnswer = "no upstream DNS server gave an answer";
constexpr std::string_view kNoneFree = "too many lookups of all clients are waiting";
constexpr std::string_view kNoDescriptors = "this client has too many connections open";

// One question under way, and who waits for it.
struct Flight {
  SharedSet result;  // null until it is over
  net::DescriptorBudget::Charge charge{};
  std::vector<std::weak_ptr<Waiter>> waiters;

  void finish(SharedSet set) {
    result = std::move(set);
    for (const auto& waiter : waiters) {
      if (const auto alive = waiter.lock()) alive->cancel();
    }
    waiters.clear();
  }
};

struct FlightKey {
  base::HostName name;
  DnsType type;
  bool operator==(const FlightKey&) const = default;
};
struct FlightHash {
  std::size_t operator()(const FlightKey& key) const {
    return std::hash<base::HostName>{}(key.name) ^ static_cast<std::size_t>(key.type);
  }
};

bool never_asked(const base::HostName& name) {
  using policy::SpecialName;
  const auto special = policy::special_name(name);
  return special == SpecialName::kGateway || special == SpecialName::kLoopback || special == SpecialName::kNever ||
         special == SpecialName::kNoDoh;
}

std::unexpected<base::Error> no_answer(const base::HostName& name, std::string_view why = kNoAnswer) {
  return base::system_error("cannot resolve " + name.text() + ": " + std::string(why));
}

}  // namespace

struct Resolver::State {
  State(asio::io_context& loop, ResolverOptions wanted, std::shared_ptr<Cache> shared_cache,
        std::shared_ptr<ReverseNames> reverse_names, audit::Counters& counts, LookupBudgets limits)
      : io(loop),
        options(std::move(wanted)),
        cache(std::move(shared_cache)),
        names(std::move(reverse_names)),
        counters(counts),
        budgets(std::move(limits)),
        health(options.upstreams.size()),
        over_tls(options.connect_tls) {
    if (!options.nat64) options.nat64 = std::make_shared<net::Nat64Book>();
    if (!budgets.clients) budgets.clients = std::make_shared<ClientLimits>();
    if (!options.traits) options.traits = std::make_shared<UpstreamTraits>();
  }

  asio::io_context& io;
  ResolverOptions options;
  std::shared_ptr<Cache> cache;
  std::shared_ptr<ReverseNames> names;
  audit::Counters& counters;
  LookupBudgets budgets;
  UpstreamOrder health;
  TlsUpstreams over_tls;
  std::unordered_map<FlightKey, std::shared_ptr<Flight>, FlightHash> flights;
  std::unordered_map<base::IpAddress, std::size_t> flights_of;  // by the client that began them

  // What is known now, or the flight that will tell; a failure and why when there are too many.
  struct Pending {
    SharedSet known;
    std::shared_ptr<Flight> flight;
    std::string_view refused{};
    [[nodiscard]] SharedSet result() const { return flight ? flight->result : known; }
    [[nodiscard]] bool has_addresses() const { return result() && !result()->addresses.empty(); }
  };
  static Pending begin(const std::shared_ptr<State>& self, const base::HostName& name, DnsType type,
                       const base::IpAddress& client);
  static Pending begin_admitted(const std::shared_ptr<State>& self, const base::HostName& name, DnsType type,
                                const base::IpAddress& client, ClientLimits::Verdict verdict);
  static asio::awaitable<void> fly(std::shared_ptr<State> self, FlightKey key, std::shared_ptr<Flight> flight,
                                   base::IpAddress client);
  [[nodiscard]] base::IpAddress key_of(const base::IpAddress& client) const {
    return budgets.descriptors == nullptr ? client.unmapped() : budgets.descriptors->key(client);
  }
  [[nodiscard]] bool must_ask(const base::HostName& name, DnsType type) const {
    return !flights.contains(FlightKey{name, type}) && cache->find(name, type) == nullptr;
  }
  // Some are left for clients that have few under way.
  [[nodiscard]] bool has_room_for(const base::IpAddress& key) const {
    if (flights.size() < kMaxQuestions - kKeptForFew) return true;
    const auto mine = flights_of.find(key);
    return flights.size() < kMaxQuestions && (mine == flights_of.end() || mine->second < kFew);
  }
  void landed(const base::IpAddress& key) {
    const auto mine = flights_of.find(key);
    if (mine != flights_of.end() && --mine->second == 0) flights_of.erase(mine);
  }
  struct UpstreamAnswer {
    sniffer::DnsAnswer answer;
    bool name_exists = true;
  };
  static asio::awaitable<std::optional<UpstreamAnswer>> ask(std::shared_ptr<State> self, FlightKey key,
                                                            std::chrono::milliseconds longest);
  static asio::awaitable<std::optional<UpstreamAnswer>> ask_servers(std::shared_ptr<State> self, FlightKey key,
                                                                    Clock::time_point deadline);
  static asio::awaitable<ExchangeResult> ask_server(std::shared_ptr<State> self, std::size_t server,
                                                    ExchangeRequest request);
  [[nodiscard]] std::deque<std::size_t> servers_for(const base::HostName& name) const;
  // Of a name with addresses that people wrote down; null: it has none.
  [[nodiscard]] SharedSet fixed_set(const base::HostName& name, DnsType type, const base::IpAddress& client) const;
  [[nodiscard]] std::shared_ptr<const Addresses> fixed_addresses(const base::HostName& name,
                                                                 const base::IpAddress& client) const;
  [[nodiscard]] SharedSet instead_of_an_answer(const FlightKey& key) const;
  void note(std::size_t server, const ExchangeResult& response);
  [[nodiscard]] std::chrono::seconds ttl_of(const sniffer::DnsAnswer& answer) const;
  [[nodiscard]] SharedSet digest(const FlightKey& key, UpstreamAnswer told) const;

  // Rings when the flights end; the caller waits on it.
  [[nodiscard]] std::shared_ptr<Waiter> waiter_for(std::initializer_list<const Pending*> pending) {
    auto waiter = std::make_shared<Waiter>(io);
    // A flight is over within its own deadline; this one is for a waiter that nobody would ring.
    waiter->expires_after(options.total_timeout + options.attempt_timeout);
    for (const auto* each : pending) {
      if (each->flight) each->flight->waiters.push_back(waiter);
    }
    return waiter;
  }
};

namespace {

// Ends the flight however its coroutine ends.
template <class State>
class Landing {
 public:
  Landing(std::shared_ptr<State> state, FlightKey key, std::shared_ptr<Flight> flight, const base::IpAddress& client)
      : state_(std::move(state)), key_(std::move(key)), flight_(std::move(flight)), client_(client) {}
  Landing(const Landing&) = delete;
  Landing& operator=(const Landing&) = delete;
  ~Landing() {
    state_->flights.erase(key_);
    state_->landed(client_);
    flight_->charge.release();
    flight_->finish(result ? result : failure());
  }
  SharedSet result;

 private:
  std::shared_ptr<State> state_;
  FlightKey key_;
  std::shared_ptr<Flight> flight_;
  base::IpAddress client_;
};

// One look-up of a client, from its admission to its end.
template <class State>
class Lookup {
 public:
  Lookup(std::shared_ptr<State> state, const base::IpAddress& client)
      : state_(std::move(state)),
        key_(state_->key_of(client)),
        verdict_(state_->budgets.clients->admit(key_, Clock::now())) {}
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;
  ~Lookup() {
    if (admitted()) state_->budgets.clients->done(key_);
  }
  [[nodiscard]] bool admitted() const { return verdict_ == ClientLimits::Verdict::kAdmitted; }
  [[nodiscard]] ClientLimits::Verdict verdict() const { return verdict_; }

 private:
  std::shared_ptr<State> state_;
  base::IpAddress key_;
  ClientLimits::Verdict verdict_;
};

}  // namespace

Resolver::State::Pending Resolver::State::begin(const std::shared_ptr<State>& self, const base::HostName& name,
                                                DnsType type, const base::IpAddress& client) {
  if (auto known = self->cache->find(name, type)) return {std::move(known), nullptr};
  const FlightKey key{name, type};
  if (const auto found = self->flights.find(key); found != self->flights.end()) return {nullptr, found->second};
  const base::IpAddress asker = self->key_of(client);
  if (!self->has_room_for(asker)) return {failure(), nullptr, kNoneFree};
  auto flight = std::make_shared<Flight>();
  if (self->budgets.descriptors != nullptr) {
    auto charge = self->budgets.descriptors->descriptors(client);
    if (!charge) return {failure(), nullptr, kNoDescriptors};
    flight->charge = std::move(*charge);
  }
  self->flights.emplace(key, flight);
  ++self->flights_of[asker];
  auto flying = fly(self, key, flight, asker);
  asio::co_spawn(self->io, std::move(flying), [](const std::exception_ptr&) {});
  return {nullptr, std::move(flight)};
}

// Over its budget a client still has what is known, or being asked: of one family, perhaps.
Resolver::State::Pending Resolver::State::begin_admitted(const std::shared_ptr<State>& self, const base::HostName& name,
                                                         DnsType type, const base::IpAddress& client,
                                                         ClientLimits::Verdict verdict) {
  const bool admitted = verdict == ClientLimits::Verdict::kAdmitted || !self->must_ask(name, type);
  if (!admitted) return {failure(), nullptr, to_string(verdict)};
  return begin(self, name, type, client);
}

asio::awaitable<void> Resolver::State::fly(std::shared_ptr<State> self, FlightKey key, std::shared_ptr<Flight> flight,
                                           base::IpAddress client) {
  Landing<State> landing(self, key, std::move(flight), client);
  const auto before = self->cache->stale(key.name, key.type);
  auto told = co_await ask(self, key, before ? kStaleAfter : self->options.total_timeout);
  if (!told) ++self->counters.dns_upstream_failures;
  landing.result = told ? self->digest(key, *std::move(told)) : self->instead_of_an_answer(key);
  self->cache->store(key.name, key.type, landing.result);
  if (landing.result->addresses.empty()) co_return;
  self->names->remember(key.name, landing.result->addresses, landing.result->expires);
}

// The servers for this name and no others, best first.
std::deque<std::size_t> Resolver::State::servers_for(const base::HostName& name) const {
  const base::HostName* const suffix = suffix_for(options.upstreams, name);
  std::deque<std::size_t> servers;
  for (const std::size_t index : health.order(Clock::now())) {
    const auto& own = options.upstreams[index].suffix;
    if (suffix == nullptr ? !own : own == *suffix) servers.push_back(index);
  }
  return servers;
}

// An answer may end at an alias whose target it does not have: then that is asked for, and what it leads to belongs to
// the name that was asked for first.
asio::awaitable<std::optional<Resolver::State::UpstreamAnswer>> Resolver::State::ask(
    std::shared_ptr<State> self, FlightKey key, std::chrono::milliseconds longest) {
  const auto deadline = Clock::now() + std::min(longest, self->options.total_timeout);
  auto told = co_await ask_servers(self, key, deadline);
  std::vector<base::HostName> asked{key.name};
  while (told && told->answer.unfinished) {
    const auto target = told->answer.canonical.host_name();
    if (!target || never_asked(*target) || !may_follow(self->options.upstreams, key.name, *target)) break;
    const bool loop = std::ranges::find(asked, *target) != asked.end();
    if (loop || asked.size() > kMaxFollowed) co_return std::nullopt;
    asked.push_back(*target);
    FlightKey next_key{*target, key.type};
    auto next = co_await ask_servers(self, std::move(next_key), deadline);
    if (!next) co_return std::nullopt;
    auto& answer = next->answer;
    if (answer.hops == 0) answer.canonical = told->answer.canonical;  // not in the letter case of the question
    answer.hops += told->answer.hops;
    if (answer.hops > sniffer::kMaxCnameHops) co_return std::nullopt;
    if (told->answer.ttl) answer.ttl = std::min(*told->answer.ttl, answer.ttl.value_or(*told->answer.ttl));
    told = std::move(next);
  }
  co_return told;
}

// Over TLS or in the clear, as the server was given: never one for the other.
asio::awaitable<ExchangeResult> Resolver::State::ask_server(std::shared_ptr<State> self, std::size_t server,
                                                            ExchangeRequest request) {
  const Upstream& upstream = self->options.upstreams[server];
  if (!upstream.tls) co_return co_await exchange(self->io, std::move(request), self->options.traits);
  co_return co_await self->over_tls.ask(upstream, std::move(request), self->options.traits);
}

// Tries the servers in order of health until one answers, all have refused, or time is up.
asio::awaitable<std::optional<Resolver::State::UpstreamAnswer>> Resolver::State::ask_servers(
    std::shared_ptr<State> self, FlightKey key, Clock::time_point deadline) {
  auto servers = self->servers_for(key.name);
  std::vector<std::size_t> silent;
  while (!servers.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left <= std::chrono::milliseconds::zero()) break;
    const std::size_t server = servers.front();
    servers.pop_front();
    ExchangeRequest request{.server = self->options.upstreams[server].server,
                            .name = key.name,
                            .type = key.type,
                            .mark = self->options.mark,
                            .timeout = std::min(left, self->options.attempt_timeout)};
    request.edns = std::ranges::find(silent, server) == silent.end();  // it may be EDNS that it is silent about
    const bool plain = !request.edns;
    const auto response = co_await ask_server(self, server, std::move(request));
    self->note(server, response);
    if (!response) {
      if (response.error() != ExchangeFault::kTimedOut) continue;
      if (!plain) silent.push_back(server);
      servers.push_back(server);  // only silence is worth asking the same server again
      continue;
    }
    if (plain) self->options.traits->edns_is_doubtful(self->options.upstreams[server].server);
    std::erase(silent, server);
    for (const auto other : silent) self->health.silent(other, key.name, Clock::now());
    silent.clear();
    auto answer = sniffer::answer_of(*response);
    if (!answer.complete()) continue;
    co_return UpstreamAnswer{std::move(answer).value(), response->rcode != sniffer::DnsRcode::kNxDomain};
  }
  co_return std::nullopt;
}

// It has no records of other types: their hints would lead elsewhere.
SharedSet Resolver::State::fixed_set(const base::HostName& name, DnsType type, const base::IpAddress& client) const {
  const auto fixed = options.fixed ? options.fixed->find(name, client) : nullptr;
  if (!fixed) return nullptr;
  auto set = std::make_shared<RecordSet>();
  set->expires = Clock::now() + StaticNames::kTtl;
  std::ranges::copy_if(*fixed, std::back_inserter(set->addresses), [type](const base::IpAddress& address) {
    return type == (address.is_v4() ? DnsType::kA : DnsType::kAaaa);
  });
  if (!set->addresses.empty()) names->remember(name, set->addresses, set->expires);
  return set;
}

std::shared_ptr<const Addresses> Resolver::State::fixed_addresses(const base::HostName& name,
                                                                  const base::IpAddress& client) const {
  const auto v4 = fixed_set(name, DnsType::kA, client);
  const auto v6 = v4 ? fixed_set(name, DnsType::kAaaa, client) : nullptr;
  if (!v6) return nullptr;
  auto both = std::make_shared<Addresses>();
  both->v4 = v4->addresses;
  both->v6 = v6->addresses;
  both->ttl = StaticNames::kTtl;
  both->fixed = true;
  return both;
}

// RFC 8767: what was true a while ago serves better than nothing, on every path alike.
SharedSet Resolver::State::instead_of_an_answer(const FlightKey& key) const {
  auto before = cache->stale(key.name, key.type);
  if (!before) return failure();
  ++counters.dns_stale_answers;
  return before;
}

// A server that answers badly about one name is still there for the others.
void Resolver::State::note(std::size_t server, const ExchangeResult& response) {
  if (response) return health.succeeded(server, Clock::now());
  if (response.error() == ExchangeFault::kUnreachable) health.failed(server, Clock::now());
}

std::chrono::seconds Resolver::State::ttl_of(const sniffer::DnsAnswer& answer) const {
  const bool negative = !answer.has_records();
  const auto stated = answer.ttl ? std::chrono::seconds(*answer.ttl) : kUnstatedNegativeTtl;
  const auto longest = negative ? std::min(options.max_negative_ttl, options.max_ttl) : options.max_ttl;
  return std::clamp(stated, std::min(options.min_ttl, longest), longest);
}

SharedSet Resolver::State::digest(const FlightKey& key, UpstreamAnswer told) const {
  auto& answer = told.answer;
  auto set = std::make_shared<RecordSet>();
  set->name_exists = told.name_exists;
  set->expires = Clock::now() + ttl_of(answer);
  const bool aliased = !answer.canonical.same_ignoring_case(sniffer::DnsName::from_host(key.name));
  if (aliased) set->canonical = answer.canonical.text();
  set->addresses = std::move(answer.addresses);
  set->services = std::move(answer.services);
  set->locations = std::move(answer.locations);
  set->texts = std::move(answer.texts);
  return set;
}

Resolver::Resolver(asio::io_context& io, ResolverOptions options, std::shared_ptr<Cache> cache,
                   std::shared_ptr<ReverseNames> names, audit::Counters& counters, LookupBudgets budgets)
    : state_(std::make_shared<State>(io, std::move(options), std::move(cache), std::move(names), counters,
                                     std::move(budgets))) {}

Resolver::~Resolver() = default;

std::shared_ptr<const Addresses> Resolver::cached(const base::HostName& name, const base::IpAddress& client) const {
  if (auto fixed = state_->fixed_addresses(name, client)) return fixed;
  return state_->cache->addresses(name);
}

std::shared_ptr<const RecordSet> Resolver::cached(const base::HostName& name, DnsType type,
                                                  const base::IpAddress& client) const {
  if (auto fixed = state_->fixed_set(name, type, client)) return fixed;
  return state_->cache->find(name, type);
}

std::shared_ptr<const policy::Nat64Prefixes> Resolver::nat64() const {
  return state_->options.nat64->now();
}

base::IpAddress Resolver::key(const base::IpAddress& client) const {
  return state_->key_of(client);
}

ClientLimits::Verdict Resolver::admit(const base::IpAddress& key) {
  return state_->budgets.clients->admit(key, Clock::now());
}

void Resolver::done(const base::IpAddress& key) {
  state_->budgets.clients->done(key);
}

asio::awaitable<base::Result<SharedSet>> Resolver::lookup(base::HostName name, DnsType type, base::IpAddress client) {
  if (never_asked(name) || !Cache::is_cacheable(type)) co_return no_answer(name);
  const auto state = state_;
  if (auto fixed = state->fixed_set(name, type, client)) co_return fixed;
  const auto pending = State::begin(state, name, type, client);
  if (!pending.refused.empty()) co_return no_answer(name, pending.refused);
  const auto waiter = state->waiter_for({&pending});
  while (!pending.result()) {
    if (const auto [rung] = co_await waiter->async_wait(kAwait); !rung) break;
  }
  if (!pending.result() || pending.result()->failed) co_return no_answer(name);
  co_return pending.result();
}

asio::awaitable<base::Result<Addresses>> Resolver::resolve(base::HostName name, base::IpAddress client) {
  if (never_asked(name)) co_return no_answer(name);
  if (const auto known = cached(name, client)) co_return *known;
  const auto state = state_;
  std::optional<Lookup<State>> mine;  // who joins a question that is under way looks no new name up
  if (state->must_ask(name, DnsType::kA) || state->must_ask(name, DnsType::kAaaa)) mine.emplace(state, client);
  const auto verdict = mine ? mine->verdict() : ClientLimits::Verdict::kAdmitted;
  const std::array families{State::begin_admitted(state, name, DnsType::kA, client, verdict),
                            State::begin_admitted(state, name, DnsType::kAaaa, client, verdict)};
  const auto waiter = state->waiter_for({&families[0], &families[1]});
  const auto over = [&] { return families[0].result() && families[1].result(); };
  const auto some = [&] { return families[0].has_addresses() || families[1].has_addresses(); };
  bool grace = false;  // one family has answered and the other has kResolutionDelay left
  while (!over()) {
    if (some() && !std::exchange(grace, true)) waiter->expires_after(kResolutionDelay);
    const auto [rung] = co_await waiter->async_wait(kAwait);
    if (!rung) break;
  }

  Addresses addresses;
  Clock::time_point expires = Clock::now() + state->options.max_ttl;
  bool answered = false;
  for (const auto& family : families) {
    const auto result = family.result();
    if (!result || result->failed) continue;
    answered = true;
    expires = std::min(expires, result->expires);
    auto& into = &family == &families[0] ? addresses.v4 : addresses.v6;
    into = result->addresses;
  }
  if (!answered) {
    const auto refused = families[0].refused.empty() ? families[1].refused : families[0].refused;
    co_return no_answer(name, refused.empty() ? kNoAnswer : refused);
  }
  addresses.ttl = std::max(std::chrono::seconds(0), std::chrono::ceil<std::chrono::seconds>(expires - Clock::now()));
  co_return addresses;
}

}  // namespace soleroute::gateway::dns
