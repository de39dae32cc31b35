// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/connector.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <system_error>
#include <utility>

#include "gateway/net/dial_socket.h"
#include "gateway/net/own_address.h"
#include "gateway/net/peer_silence.h"
#include "policy/address_class.h"
#include "policy/host_service.h"

namespace soleroute::gateway::flow {
namespace {

namespace asio = boost::asio;
using Outcome = std::expected<Dialled, DialFailure>;

constexpr std::size_t kMaxAddresses = 6;  // addresses tried for one dial
constexpr const char* kOwnUnlisted =
    "an address of the gateway's own machine, which no range covers: list the address itself";
using Charge = net::DescriptorBudget::Charge;

DialFault fault_of(int error) {
  switch (error) {
    case ECONNREFUSED:
      return DialFault::kRefused;
    case ETIMEDOUT:
      return DialFault::kTimedOut;
    case ENETUNREACH:
    case EHOSTUNREACH:
      return DialFault::kUnroutable;
    default:
      return DialFault::kOther;
  }
}

DialFailure connect_failure(const base::Endpoint& remote, const base::Error& error) {
  const bool late = error.sys_errno == ETIMEDOUT;
  return {late ? policy::Reason::kTimedOut : policy::Reason::kUpstreamFailed,
          "connect to " + remote.to_string() + ": " + std::generic_category().message(error.sys_errno),
          fault_of(error.sys_errno)};
}

// Connects, and has written `first` when it is done. Writing tells of a failed connect as well as SO_ERROR does, and to
// an origin close by the connection stands before the first attempt: then nothing is waited for.
asio::awaitable<Outcome> attempt(asio::io_context& io, net::DeadlineWheel& wheel, base::Endpoint remote,
                                 std::uint32_t mark, std::span<const std::byte> first, Charge charge) {
  auto fd = net::begin_connect(remote, mark);
  if (!fd) co_return dial_failed(policy::Reason::kUpstreamFailed, fd.error().message, fault_of(fd.error().sys_errno));
  auto stream = std::make_unique<net::TcpStream>(io, wheel, std::move(*fd));
  stream->charge(std::move(charge));
  stream->expires_after(Connector::kDialTimeout);
  base::Status status;
  if (first.empty()) {
    status = co_await stream->wait_writable();
    if (const int error = status ? net::socket_error(stream->native_handle()) : 0; error != 0) {
      status = base::errno_error("connect", error);
    }
  } else {
    status = co_await stream->write_all(first);
  }
  if (!status) co_return std::unexpected(connect_failure(remote, status.error()));
  stream->end_when_silent(net::kPeerSilence, net::kPeerSilenceCheck);
  co_return Dialled{std::move(stream), remote};
}

// Alternates the families, IPv6 first (RFC 8305 section 4), after `preferred`, which leads if it is there.
std::vector<base::IpAddress> ordered(const dns::Addresses& addresses, const std::optional<base::IpAddress>& preferred) {
  std::vector<base::IpAddress> out;
  const std::size_t longest = std::max(addresses.v6.size(), addresses.v4.size());
  for (std::size_t i = 0; i < longest; ++i) {
    if (i < addresses.v6.size()) out.push_back(addresses.v6[i]);
    if (i < addresses.v4.size()) out.push_back(addresses.v4[i]);
  }
  if (!preferred) return out;
  std::erase(out, *preferred);
  out.insert(out.begin(), *preferred);
  return out;
}

bool is_in_any(std::span<const base::Cidr> networks, const base::IpAddress& address) {
  return std::ranges::any_of(networks, [&](const auto& network) { return network.contains(address); });
}

void keep_only(std::span<const base::Cidr> networks, std::vector<base::IpAddress>& addresses) {
  std::erase_if(addresses, [&](const auto& address) { return !is_in_any(networks, address); });
}

// The one of a name's addresses that a policy would list to reach it.
base::IpAddress to_be_listed(const std::vector<base::IpAddress>& found) {
  const auto usual = std::ranges::find_if_not(found, policy::is_never_suggested);
  return usual == found.end() ? found.front() : *usual;
}

// The attempts of one race; alive until the last of them has ended, whoever won.
struct Race {
  explicit Race(asio::io_context& io) : news(io) {}
  asio::steady_timer news;  // cancelled when something happened
  std::optional<Dialled> won;
  DialFailure first_failure{policy::Reason::kUpstreamFailed, "no address to connect to"};
  std::size_t running = 0;
  bool failed_once = false;
  bool over = false;
  bool rung = false;  // since it was last waited for

  void ring() {
    rung = true;
    news.cancel();
  }
};

asio::awaitable<void> run_attempt(asio::io_context& io, net::DeadlineWheel& wheel, std::shared_ptr<Race> race,
                                  base::Endpoint remote, std::uint32_t mark, Charge charge) {
  auto outcome = co_await attempt(io, wheel, remote, mark, {}, std::move(charge));  // only the winner is written to
  --race->running;
  if (outcome && !race->won && !race->over) race->won = std::move(*outcome);
  if (!outcome && !std::exchange(race->failed_once, true)) race->first_failure = outcome.error();
  race->ring();
}

// Nothing: the client has its share of descriptors open.
std::optional<Charge> charged(net::DescriptorBudget* descriptors, const base::IpAddress& client) {
  return descriptors == nullptr ? std::optional<Charge>(std::in_place) : descriptors->descriptors(client);
}

std::unexpected<DialFailure> over_its_share() {
  return dial_failed(policy::Reason::kUpstreamFailed, "this client has too many connections open", DialFault::kLimit);
}

// An attempt's end is in the race that it belongs to.
void has_told_the_race(const std::exception_ptr& /*unused*/) {}

}  // namespace

DialRequest dial_request(const policy::Decision& decision, base::HostName name, std::uint16_t port,
                         base::IpAddress client) {
  DialRequest request{.name = std::move(name), .port = port, .permitted = {}, .preferred = std::nullopt};
  request.fixed.assign(decision.static_addresses.begin(), decision.static_addresses.end());
  request.permitted.assign(decision.permitted_addresses.begin(), decision.permitted_addresses.end());
  request.client = client;
  request.host_service = policy::is_host_service(decision, request.name.text());
  request.allowed = decision.allowed();
  if (decision.denied_addresses != nullptr) request.denied = decision.denied_addresses->shared_from_this();
  return request;
}

std::unexpected<DialFailure> dial_failed(policy::Reason reason, std::string message, DialFault fault) {
  return std::unexpected(DialFailure{reason, std::move(message), fault});
}

Connector::Connector(asio::io_context& io, net::DeadlineWheel& wheel, dns::Resolver& resolver, dns::ReverseNames& names,
                     std::uint32_t mark, std::vector<base::IpAddress> local_addresses,
                     net::DescriptorBudget* descriptors)
    : io_(io),
      wheel_(wheel),
      resolver_(resolver),
      names_(names),
      mark_(mark),
      local_addresses_(std::move(local_addresses)),
      descriptors_(descriptors) {}

bool Connector::is_host(const base::IpAddress& address) const {
  return std::ranges::find(host_.addresses, address.unmapped()) != host_.addresses.end();
}

std::expected<base::Endpoint, DialFailure> Connector::host_service(const base::Endpoint& asked) const {
  if (std::ranges::find(host_.own_ports, asked.port) != host_.own_ports.end() || host_.addresses.empty()) {
    return dial_failed(policy::Reason::kUpstreamFailed,
                       fmt::format("port {} of the host is not reached from here", asked.port));
  }
  const auto same = std::ranges::find(host_.addresses, asked.address.family(), &base::IpAddress::family);
  return base::Endpoint{same == host_.addresses.end() ? host_.addresses.front() : *same, asked.port};
}

std::optional<DialFailure> Connector::refused(const policy::Decision& decision, const base::Endpoint& to,
                                              policy::Transport transport) {
  const auto& address = to.address;
  const auto range = base::Cidr::parse(decision.matched_host);
  std::vector<base::Cidr> permitted(decision.permitted_addresses.begin(), decision.permitted_addresses.end());
  if (range) permitted.push_back(*range);
  const auto may = may_dial(address, permitted);
  if (may.value_or(false)) return denied(decision.denied_addresses, decision.matched_host, to, transport);
  if (!may) return DialFailure{policy::Reason::kUpstreamFailed, may.error().message};
  DialFailure failure{policy::Reason::kPrivateAddress, address.to_string() +
                                                           " is a private address, or one of the "
                                                           "gateway's own machine, that the policy does not list"};
  failure.refused_address = address;
  return failure;
}

// The policy names the machine and the port; what the gateway itself listens on is never meant.
asio::awaitable<Outcome> Connector::dial_host(DialRequest request) {
  if (std::ranges::find(host_.own_ports, request.port) != host_.own_ports.end()) {
    co_return dial_failed(policy::Reason::kUpstreamFailed,
                          fmt::format("port {} is the gateway's own: no policy opens it", request.port));
  }
  if (host_.addresses.empty()) {
    co_return dial_failed(policy::Reason::kUpstreamFailed,
                          request.name.text() + ": the host's address is not known; set --host-address",
                          DialFault::kName);
  }
  auto addresses = host_.addresses;
  if (auto failure = leave_out_denied(addresses, request)) co_return std::unexpected(std::move(*failure));
  co_return co_await dial_all(std::move(addresses), std::move(request));
}

asio::awaitable<Outcome> Connector::dial(DialRequest request) {
  if (request.host_service) return dial_host(std::move(request));
  return route_ == nullptr ? dial_directly(std::move(request)) : dial_by_route(std::move(request));
}

asio::awaitable<Outcome> Connector::dial_directly(DialRequest request) {
  std::shared_ptr<const dns::Addresses> resolved = resolver_.cached(request.name, request.client);
  if (!resolved) {
    auto fresh = co_await resolver_.resolve(request.name, request.client);
    if (!fresh) co_return dial_failed(policy::Reason::kUpstreamFailed, fresh.error().message, DialFault::kName);
    resolved = std::make_shared<const dns::Addresses>(std::move(*fresh));
  }
  const auto is_one_of_them = [&](const base::IpAddress& address) {
    const auto& family = address.is_v4() ? resolved->v4 : resolved->v6;
    return std::ranges::find(family, address) != family.end();
  };
  const bool known = request.preferred && names_.leads_to(request.name, *request.preferred) &&
                     (!resolved->fixed || is_one_of_them(*request.preferred));
  if (!known) request.preferred.reset();
  auto candidates = ordered(*resolved, request.preferred);
  if (!request.only.empty()) keep_only(request.only, candidates);
  if (candidates.empty()) {
    co_return dial_failed(policy::Reason::kUpstreamFailed, request.name.text() + " has no address", DialFault::kName);
  }
  auto tried = to_be_tried(std::move(candidates), request);
  if (!tried) co_return std::unexpected(std::move(tried.error()));
  co_return co_await dial_all(std::move(*tried), std::move(request));
}

asio::awaitable<Outcome> Connector::dial_all(std::vector<base::IpAddress> addresses, DialRequest request) {
  if (addresses.size() == 1) {
    const base::Endpoint only{addresses.front(), request.port};
    auto charge = charged(descriptors_, request.client);
    if (!charge) co_return over_its_share();
    auto outcome = co_await attempt(io_, wheel_, only, mark_, request.first_bytes, std::move(*charge));
    if (outcome) outcome->leads_to = only.address;
    co_return outcome;
  }
  auto won = co_await race(std::move(addresses), request.port, request.client);
  if (!won) co_return won;
  if (auto written = co_await won->stream->write_all(request.first_bytes); !written) {
    co_return std::unexpected(connect_failure(won->remote, written.error()));
  }
  won->leads_to = won->remote.address;
  co_return won;
}

// The kernel is asked about those that would be tried, not about all that a name has.
std::expected<std::vector<base::IpAddress>, DialFailure> Connector::to_be_tried(std::vector<base::IpAddress> found,
                                                                                const DialRequest& request) {
  if (auto failure = leave_out_denied(found, request)) return std::unexpected(std::move(*failure));
  const base::IpAddress first = to_be_listed(found);
  std::erase_if(found, [&](const auto& address) { return !is_permitted(address, request.permitted, request.fixed); });
  found.resize(std::min(found.size(), kMaxAddresses));
  std::optional<base::Error> unknown;
  std::erase_if(found, [&](const auto& address) {
    const auto may = may_dial(address, request.permitted, request.fixed);
    if (!may) unknown = may.error();
    return !may.value_or(false);
  });
  if (!found.empty()) return found;
  if (unknown) return dial_failed(policy::Reason::kUpstreamFailed, unknown->message);
  const bool here = is_here(first).value_or(false);
  DialFailure failure{policy::Reason::kPrivateAddress,
                      fmt::format("{} resolves to {}, {}", request.name.text(), first.to_string(),
                                  here ? kOwnUnlisted : "a private address that the policy does not list")};
  if (policy::placeholder_range(first)) failure.message += fmt::format(": {}", policy::kPlaceholderResolver);
  failure.refused_address = resolver_.nat64()->meant(first).value_or(first);
  return std::unexpected(std::move(failure));
}

std::optional<DialFailure> Connector::denied(const policy::DeniedAddresses* denied, std::string_view subject,
                                             const base::Endpoint& remote, policy::Transport transport) const {
  if (denied == nullptr) return std::nullopt;
  auto meant = resolver_.nat64()->beyond(remote.address);
  meant.push_back(remote.address);
  for (const auto& address : meant) {
    const auto found = denied->find(address, remote.port, transport);
    if (!found) continue;
    DialFailure failure{policy::Reason::kDeniedByPolicy,
                        fmt::format("{} resolves to {}, which {} denies", subject, address.to_string(), found->place)};
    failure.refused_address = address;
    return failure;
  }
  return std::nullopt;
}

std::optional<DialFailure> Connector::leave_out_denied(std::vector<base::IpAddress>& found,
                                                       const DialRequest& request) const {
  std::optional<DialFailure> why;
  std::erase_if(found, [&](const auto& address) {
    const base::Endpoint remote{address, request.port};
    auto failure = denied(request.denied.get(), request.name.text(), remote, policy::Transport::kTcp);
    const bool is_denied = failure.has_value();
    if (is_denied && !why) why = std::move(failure);
    return is_denied;
  });
  return found.empty() ? std::move(why) : std::nullopt;
}

// By the policy alone, wherever a translator of this network takes it.
bool Connector::is_permitted(const base::IpAddress& address, std::span<const base::Cidr> permitted,
                             std::span<const base::IpAddress> fixed) const {
  return resolver_.nat64()->may(address, [&](const base::IpAddress& each) {
    return policy::may_dial(each, permitted) || policy::may_dial_static(each, fixed);
  });
}

base::Result<bool> Connector::may_dial(const base::IpAddress& address, std::span<const base::Cidr> permitted,
                                       std::span<const base::IpAddress> fixed) {
  if (names_.is_denied(address) || !is_permitted(address, permitted, fixed)) return false;
  if (net::means_own_address(permitted, address)) return true;
  const auto here = is_here(address);
  if (!here) return here;
  return !*here;
}

base::Result<bool> Connector::is_here(const base::IpAddress& dialled) {
  auto leads_to = resolver_.nat64()->beyond(dialled);
  if (const auto address = policy::beyond_nat64(dialled); address != dialled) leads_to.push_back(address);
  leads_to.push_back(dialled);  // the machine may be a translator itself
  for (const auto& address : leads_to) {
    if (std::ranges::find(local_addresses_, address) != local_addresses_.end()) return true;
    const auto here = routes_.ends_here(address, mark_);
    if (!here || *here) return here;
  }
  return false;
}

asio::awaitable<Outcome> Connector::dial_endpoint(const policy::Decision& decision, std::optional<base::HostName> name,
                                                  base::Endpoint destination, base::IpAddress client, Carries carries) {
  if (!name) {
    const auto range = base::Cidr::parse(decision.matched_host);
    return dial_address(destination, range ? std::optional(*range) : std::nullopt, client, carries);
  }
  auto request = dial_request(decision, std::move(*name), destination.port, client);
  if (destination.address != base::IpAddress{}) request.preferred = destination.address;
  request.in_clear = carries == Carries::kHttpInClear;
  return dial(std::move(request));
}

// This machine's own addresses are not the proxy's to reach.
asio::awaitable<Outcome> Connector::dial_address(base::Endpoint remote, std::optional<base::Cidr> range,
                                                 base::IpAddress client, Carries carries) {
  const bool directly = route_ == nullptr || names_.is_denied(remote.address) || is_host(remote.address) ||
                        route_->proxy->is_direct(remote.address.unmapped()) || is_here(remote.address).value_or(true);
  if (directly) return dial_address_directly(remote, range, client);
  return ask_proxy(std::nullopt, remote, client, carries);
}

asio::awaitable<Outcome> Connector::dial_address_directly(base::Endpoint remote, std::optional<base::Cidr> range,
                                                          base::IpAddress client) {
  if (names_.is_denied(remote.address)) {
    co_return dial_failed(policy::Reason::kPrivateAddress, remote.address.to_string() + " represents a denied name");
  }
  const bool meant = range && net::means_own_address(std::span(&*range, 1), remote.address);
  const auto here = meant ? base::Result<bool>(false) : is_here(remote.address);
  if (!here) co_return dial_failed(policy::Reason::kUpstreamFailed, here.error().message);
  if (*here) co_return dial_failed(policy::Reason::kPrivateAddress, remote.address.to_string() + " is " + kOwnUnlisted);
  auto charge = charged(descriptors_, client);
  if (!charge) co_return over_its_share();
  auto outcome = co_await attempt(io_, wheel_, remote, mark_, {}, std::move(*charge));
  if (outcome) outcome->leads_to = remote.address;
  co_return outcome;
}

asio::awaitable<Outcome> Connector::race(std::vector<base::IpAddress> addresses, std::uint16_t port,
                                         base::IpAddress client) {
  auto race = std::make_shared<Race>(io_);
  const auto give_up = net::Clock::now() + kDialTimeout;
  std::size_t next = 0;
  while (!race->won && (next < addresses.size() || race->running > 0)) {
    if (net::Clock::now() >= give_up) break;
    auto charge = next < addresses.size() ? charged(descriptors_, client) : std::nullopt;
    // Without a descriptor for it the next attempt waits until one of those under way has ended.
    if (!charge && race->running == 0) co_return over_its_share();
    if (charge) {
      const base::Endpoint remote{addresses[next++], port};
      ++race->running;
      auto running = run_attempt(io_, wheel_, race, remote, mark_, std::move(*charge));
      asio::co_spawn(io_, std::move(running), has_told_the_race);
    }
    if (std::exchange(race->rung, false)) continue;
    race->news.expires_after(next < addresses.size() ? kAttemptDelay : kDialTimeout);
    co_await race->news.async_wait(asio::as_tuple(asio::use_awaitable));
    race->rung = false;
  }
  race->over = true;
  if (race->won) co_return std::move(*race->won);
  co_return std::unexpected(race->first_failure);
}

}  // namespace soleroute::gateway::flow
