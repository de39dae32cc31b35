// Dials an allowed name: resolves, refuses non-public addresses, races the families (RFC 8305), under one deadline.
// One per worker; used on its thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "gateway/dns/resolver.h"
#include "gateway/flow/host_services.h"
#include "gateway/flow/upstream_proxy.h"
#include "gateway/inspect/origin_sessions.h"
#include "gateway/inspect/origin_tls.h"
#include "gateway/net/descriptor_budget.h"
#include "gateway/net/stream.h"
#include "gateway/netlink/local_routes.h"
#include "policy/decision.h"
#include "policy/deny_table.h"

namespace soleroute::gateway::flow {

struct DialRequest {
  base::HostName name;
  std::uint16_t port = 0;
  std::vector<base::Cidr> permitted;     // non-public ranges the policy entry lists
  std::vector<base::IpAddress> fixed{};  // what `hosts:` gives the name
  // Where the client was going: tried first if the gateway itself resolved `name` to it, else ignored.
  std::optional<base::IpAddress> preferred;
  // Written as soon as the connection stands, for the caller that has it already; borrowed until the dial is over.
  std::span<const std::byte> first_bytes{};
  base::IpAddress client{};   // whose look-ups and descriptors this costs
  bool host_service = false;  // the policy lists `name` as the machine's own (policy/host_service.h)
  bool allowed = true;        // by an entry; false: observe mode lets it pass, if it is public
  bool in_clear = false;      // requests of HTTP without TLS: an upstream proxy forwards them itself
  // Addresses that the policy denies; null: none.
  std::shared_ptr<const policy::DeniedAddresses> denied{};
  std::span<const base::Cidr> only{};  // if not empty: no other addresses are dialled; borrowed likewise
};

// To `name`, with what the decision that allows it permits.
[[nodiscard]] DialRequest dial_request(const policy::Decision& decision, base::HostName name, std::uint16_t port,
                                       base::IpAddress client);

// In which step a dial failed.
enum class DialFault : std::uint8_t { kOther, kName, kRefused, kUnroutable, kTimedOut, kLimit, kTls, kCertificate };

// Why a dial failed, as the log and the client are told.
struct DialFailure {
  policy::Reason reason = policy::Reason::kUpstreamFailed;  // or kPrivateAddress, kDeniedByPolicy, kTimedOut
  std::string message;                                      // "example.com: no address", "connect to …: refused"
  DialFault fault = DialFault::kOther;
  std::optional<base::IpAddress> refused_address{};  // with kPrivateAddress and kDeniedByPolicy: one of the name's
};
[[nodiscard]] std::unexpected<DialFailure> dial_failed(policy::Reason reason, std::string message,
                                                       DialFault fault = DialFault::kOther);

struct Dialled {
  std::unique_ptr<net::Stream> stream;
  base::Endpoint remote;
  // Not null: `stream` leads to this proxy, which takes requests in absolute form (forwarded_by_proxy()).
  std::shared_ptr<const UpstreamProxy> forwarder{};
  std::optional<base::IpAddress> leads_to{};  // the address, where no proxy is on the way
};

// What the client sends on a connection.
enum class Carries : std::uint8_t { kAnything, kHttpInClear };

// How to reach what is not dialled directly. Shared by the workers, immutable.
struct UpstreamRoute {
  std::shared_ptr<const UpstreamProxy> proxy;
  std::shared_ptr<const inspect::OriginTls> tls;  // towards an https proxy; else null
  std::vector<std::string> search{};              // domains behind a proxy's name of one label
  std::vector<base::IpAddress> addresses{};       // of the proxy's name, from the hosts file; else it is looked up
};

class Connector {
 public:
  static constexpr std::chrono::milliseconds kDialTimeout{10000};
  static constexpr std::chrono::milliseconds kAttemptDelay{250};  // RFC 8305 section 5

  // This machine's addresses are never dialled unless the policy lists the very address: those that its kernel routes
  // to itself at the time, which it is asked for each address that is tried, and `local_addresses`, those it had at the
  // start. What the kernel does not tell is not dialled. `mark`: SO_MARK, 0 none. `descriptors` is charged for each
  // attempt and connection; null: no limit.
  Connector(boost::asio::io_context& io, net::DeadlineWheel& wheel, dns::Resolver& resolver, dns::ReverseNames& names,
            std::uint32_t mark, std::vector<base::IpAddress> local_addresses,
            net::DescriptorBudget* descriptors = nullptr);
  // From now on everything but its exceptions is asked of this proxy by name, and its own address is dialled whatever
  // it is. If it fails, nothing is dialled directly.
  void use(std::shared_ptr<const UpstreamRoute> route) { route_ = std::move(route); }
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> dial(DialRequest request);
  // An address in `range`, an `endpoints:` cidr; no name involved. Without one: nothing in the policy names it.
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> dial_address(
      base::Endpoint remote, std::optional<base::Cidr> range, base::IpAddress client,
      Carries carries = Carries::kAnything);
  // What an `endpoints:` entry allows: `name`, preferably at the destination's address, or else that address, which the
  // entry may list by its range. Keeps nothing of `decision`.
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> dial_endpoint(
      const policy::Decision& decision, std::optional<base::HostName> name, base::Endpoint destination,
      base::IpAddress client, Carries carries = Carries::kAnything);
  // Before the first dial. Without it no service of the machine is reached.
  void use_host(HostServices host) { host_ = std::move(host); }
  // Is this an address of the machine that a policy lists as host.gateway.internal?
  [[nodiscard]] bool is_host(const base::IpAddress& address) const;
  // The service of the machine that a policy lists, for a flow of datagrams to this gateway.
  [[nodiscard]] std::expected<base::Endpoint, DialFailure> host_service(const base::Endpoint& asked) const;
  // Why the very address may not be sent to that an `endpoints:` entry allows, by name or by its range; nothing: it
  // may.
  [[nodiscard]] std::optional<DialFailure> refused(const policy::Decision& decision, const base::Endpoint& to,
                                                   policy::Transport transport);
  // What else is opened for a client; null: no limit.
  [[nodiscard]] net::DescriptorBudget* descriptors() const { return descriptors_; }
  // What a NAT64 translator makes of an address of a configured prefix.
  [[nodiscard]] std::optional<base::IpAddress> translated(const base::IpAddress& address) const {
    return resolver_.nat64()->meant(address);
  }
  // May a name lead there, if its entry lists no addresses? Not where that is not known.
  [[nodiscard]] bool may_dial(const base::IpAddress& address) { return may_dial(address, {}).value_or(false); }

 private:
  [[nodiscard]] base::Result<bool> may_dial(const base::IpAddress& address, std::span<const base::Cidr> permitted,
                                            std::span<const base::IpAddress> fixed = {});
  [[nodiscard]] bool is_permitted(const base::IpAddress& address, std::span<const base::Cidr> permitted,
                                  std::span<const base::IpAddress> fixed) const;
  [[nodiscard]] base::Result<bool> is_here(const base::IpAddress& dialled);
  // What the policy's `deny:` says of an address, wherever a translator of this network takes it. Nothing: nothing.
  [[nodiscard]] std::optional<DialFailure> denied(const policy::DeniedAddresses* denied, std::string_view subject,
                                                  const base::Endpoint& remote, policy::Transport transport) const;
  // Takes those away that the policy denies. Why, if none is left of some.
  [[nodiscard]] std::optional<DialFailure> leave_out_denied(std::vector<base::IpAddress>& found,
                                                            const DialRequest& request) const;
  // Those of `found`, in order, that may be tried; why not, if there are none.
  [[nodiscard]] std::expected<std::vector<base::IpAddress>, DialFailure> to_be_tried(std::vector<base::IpAddress> found,
                                                                                     const DialRequest& request);
  // The first of `addresses` that answers, once it has `request`'s first bytes.
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> dial_all(
      std::vector<base::IpAddress> addresses, DialRequest request);
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> dial_host(DialRequest request);
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> race(std::vector<base::IpAddress> addresses,
                                                                                 std::uint16_t port,
                                                                                 base::IpAddress client);
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> dial_directly(DialRequest request);
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> dial_address_directly(
      base::Endpoint remote, std::optional<base::Cidr> range, base::IpAddress client);
  // Whether a name that the proxy would be asked for is dialled directly nevertheless, or not at all.
  enum class Way : std::uint8_t { kProxy, kDirect };
  [[nodiscard]] boost::asio::awaitable<std::expected<Way, DialFailure>> way_to(const DialRequest& request);
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> dial_by_route(DialRequest request);
  [[nodiscard]] boost::asio::awaitable<std::expected<std::vector<base::IpAddress>, DialFailure>> proxy_addresses(
      base::IpAddress client);
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> connect_to_proxy(base::IpAddress client);
  // To the proxy for requests in clear, which it forwards itself, or through it.
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> ask_proxy(
      std::optional<base::HostName> name, base::Endpoint remote, base::IpAddress client, Carries carries);
  [[nodiscard]] boost::asio::awaitable<std::expected<Dialled, DialFailure>> tunnel(std::optional<base::HostName> name,
                                                                                   base::Endpoint remote,
                                                                                   base::IpAddress client);
  boost::asio::io_context& io_;
  net::DeadlineWheel& wheel_;
  dns::Resolver& resolver_;
  dns::ReverseNames& names_;
  std::uint32_t mark_;
  std::vector<base::IpAddress> local_addresses_;
  net::DescriptorBudget* descriptors_;
  HostServices host_;
  netlink::RouteQuestions routes_;
  std::shared_ptr<const UpstreamRoute> route_;  // null: everything is dialled directly
  std::shared_ptr<inspect::OriginSessions> proxy_sessions_ = std::make_shared<inspect::OriginSessions>();
};

}  // namespace soleroute::gateway::flow
