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
#include <optional>
#include <unordered_map>
#include <utility>

#include "gateway/dns/await.h"
#include "gateway/dns/cache.h"
#include "gateway/dns/exchange.h"
#include "gateway/dns/special_names.h"
#include "gateway/dns/upstream_order.h"

namespace soleroute::gateway::dns {
namespace {

namespace asio = boost::asio;
using sniffer::DnsType;
using Bell = asio::steady_timer;
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

// One question under way, and who waits for it.
struct Flight {
  SharedSet result;  // null until it is over
  std::vector<std::weak_ptr<Bell>> waiters;

  void finish(SharedSet set) {
    result = std::move(set);
    for (const auto& waiter : waiters) {
      if (const auto bell = waiter.lock()) bell->cancel();
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
  const auto special = special_name(name);
  return special == SpecialName::kGateway || special == SpecialName::kThisHost || special == SpecialName::kNoDoh;
}

std::unexpected<base::Error> no_answer(const base::HostName& name) {
  return base::system_error("cannot resolve " + name.text() + ": no upstream DNS server gave an answer");
}

}  // namespace

struct Resolver::State {
  State(asio::io_context& loop, ResolverOptions wanted, std::shared_ptr<Cache> shared_cache,
        std::shared_ptr<NameBook> book, audit::Counters& counts)
      : io(loop),
        options(std::move(wanted)),
        cache(std::move(shared_cache)),
        names(std::move(book)),
        counters(counts),
        health(options.upstreams.size()) {}

  asio::io_context& io;
  ResolverOptions options;
  std::shared_ptr<Cache> cache;
  std::shared_ptr<NameBook> names;
  audit::Counters& counters;
  UpstreamOrder health;
  std::unordered_map<FlightKey, std::shared_ptr<Flight>, FlightHash> flights;

  // What is known now, or the flight that will tell; neither when there are too many.
  struct Pending {
    SharedSet known;
    std::shared_ptr<Flight> flight;
    [[nodiscard]] SharedSet result() const { return flight ? flight->result : known; }
    [[nodiscard]] bool has_addresses() const { return result() && !result()->addresses.empty(); }
  };
  static Pending begin(const std::shared_ptr<State>& self, const base::HostName& name, DnsType type);
  static asio::awaitable<void> fly(std::shared_ptr<State> self, FlightKey key, std::shared_ptr<Flight> flight);
  struct Told {
    sniffer::DnsAnswer answer;
    bool name_exists = true;
  };
  static asio::awaitable<std::optional<Told>> ask(std::shared_ptr<State> self, FlightKey key,
                                                  std::chrono::milliseconds longest);
  [[nodiscard]] SharedSet instead_of_an_answer(const FlightKey& key) const;
  void note(std::size_t server, const ExchangeResult& response);
  [[nodiscard]] std::chrono::seconds ttl_of(const sniffer::DnsAnswer& answer) const;
  [[nodiscard]] SharedSet digest(const FlightKey& key, Told told) const;

  // Rings when the flights end; the caller waits on it.
  [[nodiscard]] std::shared_ptr<Bell> bell_for(std::initializer_list<const Pending*> pending) {
    auto bell = std::make_shared<Bell>(io);
    // A flight is over within its own deadline; this one is for a bell that nobody would ring.
    bell->expires_after(options.total_timeout + options.attempt_timeout);
    for (const auto* each : pending) {
      if (each->flight) each->flight->waiters.push_back(bell);
    }
    return bell;
  }
};

namespace {

// Ends the flight however its coroutine ends.
template <class State>
class Landing {
 public:
  Landing(std::shared_ptr<State> state, FlightKey key, std::shared_ptr<Flight> flight)
      : state_(std::move(state)), key_(std::move(key)), flight_(std::move(flight)) {}
  Landing(const Landing&) = delete;
  Landing& operator=(const Landing&) = delete;
  ~Landing() {
    state_->flights.erase(key_);
    flight_->finish(result ? result : failure());
  }
  SharedSet result;

 private:
  std::shared_ptr<State> state_;
  FlightKey key_;
  std::shared_ptr<Flight> flight_;
};

}  // namespace

Resolver::State::Pending Resolver::State::begin(const std::shared_ptr<State>& self, const base::HostName& name,
                                                DnsType type) {
  if (auto known = self->cache->find(name, type)) return {std::move(known), nullptr};
  const FlightKey key{name, type};
  if (const auto found = self->flights.find(key); found != self->flights.end()) return {nullptr, found->second};
  if (self->flights.size() >= kMaxQuestions) return {failure(), nullptr};
  auto flight = std::make_shared<Flight>();
  self->flights.emplace(key, flight);
  auto flying = fly(self, key, flight);
  asio::co_spawn(self->io, std::move(flying), [](const std::exception_ptr&) {});
  return {nullptr, std::move(flight)};
}

asio::awaitable<void> Resolver::State::fly(std::shared_ptr<State> self, FlightKey key, std::shared_ptr<Flight> flight) {
  Landing<State> landing(self, key, std::move(flight));
  const auto before = self->cache->stale(key.name, key.type);
  auto told = co_await ask(self, key, before ? kStaleAfter : self->options.total_timeout);
  if (!told) ++self->counters.dns_upstream_failures;
  landing.result = told ? self->digest(key, *std::move(told)) : self->instead_of_an_answer(key);
  self->cache->store(key.name, key.type, landing.result);
  if (landing.result->addresses.empty()) co_return;
  self->names->remember(key.name, landing.result->addresses, landing.result->expires);
}

// Tries the servers in order of health until one answers, all have refused, or time is up.
asio::awaitable<std::optional<Resolver::State::Told>> Resolver::State::ask(std::shared_ptr<State> self, FlightKey key,
                                                                           std::chrono::milliseconds longest) {
  const auto deadline = Clock::now() + std::min(longest, self->options.total_timeout);
  const auto order = self->health.order(Clock::now());
  std::deque<std::size_t> servers(order.begin(), order.end());
  std::vector<std::size_t> silent;
  while (!servers.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left <= std::chrono::milliseconds::zero()) break;
    const std::size_t server = servers.front();
    servers.pop_front();
    ExchangeRequest request{self->options.upstreams[server], key.name, key.type, self->options.mark,
                            std::min(left, self->options.attempt_timeout)};
    const auto response = co_await exchange(self->io, std::move(request));
    self->note(server, response);
    if (response) {
      for (const auto other : silent) {
        if (other != server) self->health.silent(other, key.name, Clock::now());
      }
      silent.clear();
    } else if (response.error() == ExchangeFault::kTimedOut) {
      silent.push_back(server);
    }
    // Only silence is worth asking the same server again.
    if (!response && response.error() == ExchangeFault::kTimedOut) servers.push_back(server);
    if (!response) continue;
    auto answer = sniffer::answer_of(*response);
    if (!answer.complete()) continue;
    co_return Told{std::move(answer).value(), response->rcode != sniffer::DnsRcode::kNxDomain};
  }
  co_return std::nullopt;
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
  const bool negative = answer.addresses.empty() && answer.services.empty();
  const auto stated = answer.ttl ? std::chrono::seconds(*answer.ttl) : kUnstatedNegativeTtl;
  const auto longest = negative ? std::min(options.max_negative_ttl, options.max_ttl) : options.max_ttl;
  return std::clamp(stated, std::min(options.min_ttl, longest), longest);
}

SharedSet Resolver::State::digest(const FlightKey& key, Told told) const {
  auto& answer = told.answer;
  auto set = std::make_shared<RecordSet>();
  set->name_exists = told.name_exists;
  set->expires = Clock::now() + ttl_of(answer);
  const bool aliased = !answer.canonical.same_ignoring_case(sniffer::DnsName::from_host(key.name));
  if (aliased) set->canonical = answer.canonical.text();
  set->addresses = std::move(answer.addresses);
  set->services = std::move(answer.services);
  return set;
}

Resolver::Resolver(asio::io_context& io, ResolverOptions options, std::shared_ptr<Cache> cache,
                   std::shared_ptr<NameBook> names, audit::Counters& counters)
    : state_(std::make_shared<State>(io, std::move(options), std::move(cache), std::move(names), counters)) {}

Resolver::~Resolver() = default;

std::shared_ptr<const Addresses> Resolver::cached(const base::HostName& name) const {
  return state_->cache->addresses(name);
}

std::shared_ptr<const RecordSet> Resolver::cached(const base::HostName& name, DnsType type) const {
  return state_->cache->find(name, type);
}

asio::awaitable<base::Result<SharedSet>> Resolver::lookup(base::HostName name, DnsType type) {
  if (never_asked(name) || !Cache::is_cacheable(type)) co_return no_answer(name);
  const auto state = state_;
  const auto pending = State::begin(state, name, type);
  const auto bell = state->bell_for({&pending});
  while (!pending.result()) {
    if (const auto [rung] = co_await bell->async_wait(kAwait); !rung) break;
  }
  if (!pending.result() || pending.result()->failed) co_return no_answer(name);
  co_return pending.result();
}

asio::awaitable<base::Result<Addresses>> Resolver::resolve(base::HostName name) {
  if (never_asked(name)) co_return no_answer(name);
  if (const auto known = cached(name)) co_return *known;
  const auto state = state_;
  const std::array families{State::begin(state, name, DnsType::kA), State::begin(state, name, DnsType::kAaaa)};
  const auto bell = state->bell_for({&families[0], &families[1]});
  const auto over = [&] { return families[0].result() && families[1].result(); };
  const auto some = [&] { return families[0].has_addresses() || families[1].has_addresses(); };
  bool grace = false;  // one family has answered and the other has kResolutionDelay left
  while (!over()) {
    if (some() && !std::exchange(grace, true)) bell->expires_after(kResolutionDelay);
    const auto [rung] = co_await bell->async_wait(kAwait);
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
  if (!answered) co_return no_answer(name);
  addresses.ttl = std::max(std::chrono::seconds(0), std::chrono::ceil<std::chrono::seconds>(expires - Clock::now()));
  co_return addresses;
}

}  // namespace soleroute::gateway::dns
