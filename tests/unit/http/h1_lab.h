// A worker's HTTP flows on a thread of their own, with a client and origins that the test plays itself: real sockets,
// the real connector and policy, names answered from a filled cache.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gateway/dns/cache.h"
#include "gateway/flow/connector.h"
#include "gateway/flow/pipe_pool.h"
#include "gateway/flow/policy_in_force.h"
#include "gateway/flow/recent_denials.h"
#include "gateway/flow/registry.h"
#include "gateway/http/h1/session.h"
#include "gateway/ingress/entrances.h"
#include "gateway/net/listen.h"
#include "tests/support/on_loop.h"
#include "tests/support/peer.h"
#include "tests/support/recording_log.h"
#include "tests/support/socket_pair.h"

namespace soleroute::gateway::http::h1 {

class Http1Lab : public ::testing::Test {
 protected:
  static constexpr const char* kPolicy = R"(
domains:
  - {host: allowed.test, addresses: [127.0.0.0/8]}
  - {host: other.test, addresses: [127.0.0.0/8]}
  - {host: closed.test, addresses: [127.0.0.0/8]}
  - hidden.test
  - nowhere.test
  - host: rules.test
    addresses: [127.0.0.0/8]
    rules: [{schemes: [http], methods: [GET, HEAD], path: {prefix: /ok/}}]
  - {host: secure.test, rules: [{schemes: [https]}]}
endpoints:
  - {host: db.test, port: 5432, addresses: [127.0.0.0/8]}
  - {cidr: 127.0.0.9/32, ports: [7000]}
)";

  Http1Lab() {
    answer("allowed.test", "127.0.0.2");
    answer("other.test", "127.0.0.3");
    answer("rules.test", "127.0.0.4");
    answer("closed.test", "127.0.0.5");
    answer("hidden.test", "127.0.0.6");
    answer("db.test", "127.0.0.7");
    answer("nowhere.test", "");
    for (const char* const address : {"127.0.0.2", "127.0.0.3", "127.0.0.4"}) listen(address);
    use(kPolicy);
    context_.denials = &denials_;
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Http1Lab() override {
    for (auto& client : clients_) client->close();
    boost::asio::post(io_, [this] { registry_.close_all(); });
    std::unique_lock lock(mutex_);
    const bool over = ended_.wait_for(lock, std::chrono::seconds(30), [this] { return running_ == 0; });
    EXPECT_TRUE(over) << "a flow did not end with its client";
    lock.unlock();
    io_.stop();
    thread_.join();
  }

  static std::shared_ptr<const policy::Policy> compiled(const std::string& text) {
    const std::vector<policy::PolicySource> layers = {{"policy.yaml", text}};
    auto policy = policy::Policy::compile(layers);
    EXPECT_TRUE(policy.has_value()) << (policy ? "" : policy.error().message);
    return policy.value();
  }
  void use(const std::string& text) {
    const auto policy = compiled(text);
    context_.use(std::make_shared<const flow::PolicyInForce>(policy));
  }
  // As a reload does; in force when it returns.
  void reload(const std::string& text) {
    std::promise<void> done;
    auto policy = compiled(text);
    boost::asio::post(io_, [this, policy, &done] {
      context_.use(std::make_shared<const flow::PolicyInForce>(policy));
      registry_.apply(*policy);
      done.set_value();
    });
    done.get_future().wait();
  }

  void answer(const std::string& name, const std::string& address) {
    dns::RecordSet set;
    set.expires = std::chrono::steady_clock::now() + std::chrono::hours(1);
    const auto host = base::HostName::parse(name).value();
    cache_->store(host, sniffer::DnsType::kAaaa, std::make_shared<const dns::RecordSet>(set));
    if (!address.empty()) set.addresses = {base::IpAddress::parse(address).value()};
    cache_->store(host, sniffer::DnsType::kA, std::make_shared<const dns::RecordSet>(set));
  }

  // A client whose connection was redirected from port 80 of this address, or that asks the explicit proxy.
  test::Peer& client(const std::string& destination = "127.0.0.2") {
    return start([this, destination](flow::ClientConnection connection) {
      connection.original_destination = {base::IpAddress::parse(destination).value(), 80};
      connection.stream->expires_after(first_bytes_);
      return serve(std::move(connection));
    });
  }
  boost::asio::awaitable<void> serve(flow::ClientConnection connection) {
    Session session(context_, std::move(connection), {}, Entrance::kRedirected);
    co_await session.run();
  }
  test::Peer& proxy_client() {
    return start([this](flow::ClientConnection connection) {
      return ingress::serve_explicit_proxy(context_, std::move(connection));
    });
  }

  // The next connection to an origin that listens: listen() comes before the client's bytes, or the dial may be
  // refused.
  test::Peer origin(const std::string& address, std::uint16_t port = 80) {
    EXPECT_TRUE(listeners_.contains({address, port})) << address << " did not listen";
    const base::Fd& listener = listen(address, port);
    pollfd asked{listener.get(), POLLIN, 0};
    if (::poll(&asked, 1, test::kPatienceMs) != 1) ADD_FAILURE() << "nobody connected to " << address;
    return test::Peer(base::Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }
  const base::Fd& listen(const std::string& address, std::uint16_t port = 80) {
    base::Fd& listener = listeners_[{address, port}];
    if (!listener) listener = net::listen_tcp({base::IpAddress::parse(address).value(), port}).value();
    return listener;
  }
  // What `action` leaves behind, the gateway sees at once.
  template <class Action>
  void hold(Action action) {
    test::on_loop(io_, std::move(action));
  }
  // Has anybody connected there who was not accepted?
  bool was_dialled(const std::string& address, std::uint16_t port = 80) {
    pollfd asked{listen(address, port).get(), POLLIN, 0};
    return ::poll(&asked, 1, 0) == 1;
  }

  // The records, once there are so many.
  std::vector<audit::DecisionRecord> records(std::size_t count) {
    for (int i = 0; i < 20000 && log_.records().size() < count; ++i) ::poll(nullptr, 0, 1);
    return log_.records();
  }

  std::chrono::milliseconds first_bytes_{30000};
  audit::Counters counters_;
  testing::RecordingLog log_;
  flow::RecentDenials denials_{{}};
  std::shared_ptr<net::BufferAccount> account_ = std::make_shared<net::BufferAccount>(net::BufferLimits{});
  // Until nothing is held for a client, or for as long as a test may wait.
  [[nodiscard]] std::size_t held_in_the_end() const {
    for (int i = 0; i < 5000 && account_->held() > 0; ++i) ::poll(nullptr, 0, 1);
    return account_->held();
  }

  template <class Serve>
  test::Peer& start(Serve serve) {
    auto [far, near] = test::tcp_pair();
    clients_.push_back(std::make_unique<test::Peer>(std::move(far)));
    {
      const std::lock_guard lock(mutex_);
      ++running_;
    }
    boost::asio::post(io_, [this, serve, socket = std::make_shared<base::Fd>(std::move(near))] {
      flow::ClientConnection connection{std::make_unique<net::TcpStream>(io_, wheel_, std::move(*socket)),
                                        {base::IpAddress::parse("10.0.0.9").value(), 40000},
                                        {}};
      connection.stream->account_to(account_->of(connection.peer.address));
      auto flow = serve(std::move(connection));
      boost::asio::co_spawn(io_, std::move(flow), [this](const std::exception_ptr& error) {
        EXPECT_FALSE(error);
        const std::lock_guard lock(mutex_);
        --running_;
        ended_.notify_all();
      });
    });
    return *clients_.back();
  }

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  net::DeadlineWheel wheel_{io_};
  std::shared_ptr<dns::Cache> cache_ = dns::make_cache();
  std::shared_ptr<dns::ReverseNames> names_ = std::make_shared<dns::ReverseNames>();
  dns::Resolver resolver_{
      io_, {.upstreams = {base::Endpoint{base::IpAddress::parse("127.0.0.1").value(), 9}}}, cache_, names_, counters_};
  flow::Connector connector_{io_, wheel_, resolver_, *names_, 0, {}};
  flow::RememberingLog remembering_{log_, denials_, [] { return nullptr; }};
  flow::Registry registry_;
  flow::PipePool pipes_;

 protected:
  flow::Context context_{io_,       wheel_, resolver_,    *names_,   connector_,
                         registry_, pipes_, remembering_, counters_, nullptr};

 private:
  std::map<std::pair<std::string, std::uint16_t>, base::Fd> listeners_;
  std::vector<std::unique_ptr<test::Peer>> clients_;
  std::mutex mutex_;
  std::condition_variable ended_;
  int running_ = 0;
  std::thread thread_;
};

// '|' stands for CRLF.
inline std::string wire(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += "\r\n";
    if (c != '|') out += c;
  }
  return out;
}

}  // namespace soleroute::gateway::http::h1
