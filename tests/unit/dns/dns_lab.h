// A DNS server on loopback as a gateway runs it: its own thread, a policy, a scripted upstream, a log to look at.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/dns/cache.h"
#include "gateway/dns/server.h"
#include "gateway/dns/static_names.h"
#include "gateway/net/listen.h"
#include "gateway/net/own_address.h"
#include "policy/policy.h"
#include "sniffer/dns_message.h"
#include "tests/support/dns_client.h"
#include "tests/support/dns_wire.h"
#include "tests/support/on_loop.h"
#include "tests/support/recording_log.h"
#include "tests/support/scripted_upstream.h"

namespace soleroute::gateway::dns {

inline constexpr const char* kLabPolicy = R"(
domains:
  - allowed.test
  - cdn-allowed.test
  - "*.wild.test"
  - host: private.test
    addresses: [10.0.0.0/8]
  - printer.local
  - host: here.test
    addresses: [127.0.0.0/8, "::1"]
  - "*.corp.internal"
)";
inline constexpr const char* kOwnV4 = "10.77.0.2";
inline constexpr const char* kOwnV6 = "fd77::2";
inline constexpr const char* kOrigin = "45.33.32.10";

// What a client makes of an answer.
struct Reading {
  std::optional<sniffer::DnsHeader> header;
  sniffer::DnsResponse response;
  std::vector<std::string> addresses;

  [[nodiscard]] sniffer::DnsRcode rcode() const { return response.rcode; }
};

inline Reading read_answer(const std::string& bytes) {
  Reading reading;
  reading.header = sniffer::parse_dns_header(base::as_bytes(bytes));
  if (reading.header) reading.response.rcode = static_cast<sniffer::DnsRcode>(reading.header->flags & 0xfU);
  auto parsed = sniffer::parse_dns_response(base::as_bytes(bytes));
  if (!parsed.complete()) return reading;
  reading.response = std::move(parsed).value();
  for (const auto& record : reading.response.answers) {
    if (record.address) reading.addresses.push_back(record.address->to_string());
  }
  return reading;
}

class DnsLab {
 public:
  using Script = testing::ScriptedUpstream::Script;

  explicit DnsLab(Script script, const std::string& policy_text = kLabPolicy,
                  std::vector<const char*> own = {kOwnV4, kOwnV6}, const char* listen_on = "127.0.0.1",
                  std::vector<const char*> local = {}, SearchList search = {},
                  const DeniedNetworks& denied_networks = {})
      : upstream(std::move(script)) {
    const policy::PolicySource source{"policy.yaml", policy_text};
    policy_ = policy::Policy::compile(std::span(&source, 1)).value();
    ResolverOptions options;
    options.upstreams = {upstream.endpoint()};
    options.attempt_timeout = std::chrono::milliseconds(500);
    options.total_timeout = std::chrono::milliseconds(1500);
    options.fixed = std::make_shared<StaticNames>();
    options.fixed->use(policy_);
    resolver_.emplace(io_, options, cache, names, counters);

    net::ListenRequest request{
        .address = base::IpAddress::parse(listen_on).value(), .ports = {}, .explicit_proxy = false};
    auto listeners = net::open_listeners(request).value();
    port_ = listeners.ports.dns;
    ServerOptions server_options;
    for (const char* text : own) server_options.own_addresses.push_back(base::IpAddress::parse(text).value());
    for (const char* text : local) server_options.local_addresses.push_back(base::IpAddress::parse(text).value());
    own_book->set(std::make_shared<const net::OwnAddresses>(std::vector<base::Cidr>{}));
    server_options.here = own_book;
    denied->use(denied_networks);
    server_options.denied = denied;
    server_options.searched = std::make_shared<SearchedNames>(std::move(search));
    server_options.policy = [this](const base::IpAddress& client) { return policy::policy_for(policy_, client); };
    server_.emplace(io_, server_options, std::move(listeners.dns_udp), std::move(listeners.dns_tcp), *resolver_, names,
                    log, counters);
    server_->start();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~DnsLab() {
    stop();
    guard_.reset();
    io_.stop();
    thread_.join();
  }
  DnsLab(const DnsLab&) = delete;
  DnsLab& operator=(const DnsLab&) = delete;

  // Runs `what` on the server's thread and waits for it.
  template <class What>
  void on_worker(What what) {
    test::on_loop(io_, std::move(what));
  }
  void stop() {
    on_worker([this] { server_->stop(); });
  }

  [[nodiscard]] base::Endpoint at(const char* address = "127.0.0.1") const {
    return {base::IpAddress::parse(address).value(), port_};
  }
  [[nodiscard]] testing::DnsClient client(testing::DnsClient::Over over = testing::DnsClient::Over::kUdp) const {
    return {at(), over};
  }
  [[nodiscard]] std::string raw(std::string_view message) const { return client().ask(message); }
  // With EDNS, as dig and systemd-resolved ask.
  [[nodiscard]] std::string ask_edns(std::string_view name, unsigned type = 1, unsigned size = 1232) const {
    namespace wire = testing::dns_wire;
    return raw(wire::header(0x4242, 0x100, {.additionals = 1}) + wire::question(wire::name(name), type) +
               wire::opt(size, ""));
  }
  [[nodiscard]] Reading ask(std::string_view name, unsigned type = 1) const {
    return read_answer(raw(testing::dns_wire::query(0x4242, name, type)));
  }

  testing::ScriptedUpstream upstream;
  testing::RecordingLog log;
  audit::Counters counters;
  std::shared_ptr<Cache> cache = make_cache();
  std::shared_ptr<ReverseNames> names = std::make_shared<ReverseNames>();
  std::shared_ptr<DeniedAddresses> denied = std::make_shared<DeniedAddresses>();
  std::shared_ptr<net::OwnAddressBook> own_book = std::make_shared<net::OwnAddressBook>();

 private:
  std::shared_ptr<const policy::Policy> policy_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_ = boost::asio::make_work_guard(io_);
  std::optional<Resolver> resolver_;
  std::optional<Server> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace soleroute::gateway::dns
