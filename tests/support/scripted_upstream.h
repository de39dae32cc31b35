// An upstream DNS server on loopback that does what a test's script says, over UDP and TCP on one port, and logs all.
// Its own thread; the script is called on it, one question at a time.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/ip_address.h"
#include "gateway/net/listen.h"
#include "sniffer/dns_message.h"
#include "tests/support/dns_wire.h"

namespace soleroute::testing {

struct UpstreamQuestion {
  std::string raw;
  std::string name;   // lower case
  std::string shown;  // as it was sent
  unsigned id = 0;
  unsigned type = 0;
  bool tcp = false;
  bool edns = false;
  std::uint16_t from_port = 0;

  [[nodiscard]] std::string echoed() const { return dns_wire::question(dns_wire::name(shown), type); }
  // A response that echoes the question exactly.
  [[nodiscard]] std::string response(dns_wire::Counts counts, const std::string& records,
                                     unsigned flags = 0x8180) const {
    return dns_wire::header(id, flags, counts) + echoed() + records;
  }
  // Every address as a record of the type asked for.
  [[nodiscard]] std::string addresses(std::initializer_list<const char*> list, std::uint32_t ttl = 60) const {
    std::string records;
    unsigned count = 0;
    for (const char* text : list) {
      const auto address = base::IpAddress::parse(text).value();
      const unsigned its_type = address.is_v4() ? 1 : 28;
      if (its_type != type) continue;
      records += dns_wire::record(dns_wire::kToQuestion, type, ttl, base::as_text(std::as_bytes(address.bytes())));
      ++count;
    }
    return response({.answers = count}, records);
  }
  [[nodiscard]] std::string error(unsigned rcode) const { return response({}, "", 0x8180 | rcode); }
};

struct UpstreamReply {
  std::string bytes;
  bool from_another_port = false;
};

class ScriptedUpstream {
 public:
  using Replies = std::vector<UpstreamReply>;  // empty: silence
  using Script = std::function<Replies(const UpstreamQuestion&)>;

  explicit ScriptedUpstream(Script script) : script_(std::move(script)) {
    const auto loopback = base::IpAddress::parse("127.0.0.1").value();
    for (int attempt = 0; !tcp_ && attempt < 100; ++attempt) {  // one number free for both
      udp_ = net_fd(gateway::net::bind_udp({loopback, 0}));
      endpoint_ = {loopback, gateway::net::local_port(udp_).value()};
      tcp_ = net_fd(gateway::net::listen_tcp(endpoint_));
    }
    other_ = net_fd(gateway::net::bind_udp({loopback, 0}));
    wake_ = base::Fd(::eventfd(0, EFD_CLOEXEC));
    thread_ = std::thread([this] { run(); });
  }
  ~ScriptedUpstream() {
    ::eventfd_write(wake_.get(), 1);
    thread_.join();
  }
  ScriptedUpstream(const ScriptedUpstream&) = delete;
  ScriptedUpstream& operator=(const ScriptedUpstream&) = delete;

  [[nodiscard]] base::Endpoint endpoint() const { return endpoint_; }
  [[nodiscard]] std::vector<UpstreamQuestion> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  [[nodiscard]] std::size_t count(const std::string& name, unsigned type = 0) const {
    const auto all = seen();
    return static_cast<std::size_t>(
        std::ranges::count_if(all, [&](const auto& q) { return q.name == name && (type == 0 || q.type == type); }));
  }

 private:
  static base::Fd net_fd(base::Result<base::Fd> fd) { return fd ? std::move(*fd) : base::Fd(); }

  void run() {
    while (true) {
      pollfd waits[] = {{udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      if (::poll(waits, 3, -1) < 0) continue;
      if (waits[2].revents != 0) return;
      if (waits[0].revents != 0) serve_udp();
      if (waits[1].revents != 0) serve_tcp();
    }
  }
  Replies ask(const std::string& raw, bool tcp, const sockaddr_storage& peer) {
    const auto parsed = sniffer::parse_dns_query(base::as_bytes(raw));
    if (!parsed.complete()) return {};
    UpstreamQuestion question;
    question.raw = raw;
    question.shown = parsed.value().question.name.text();
    question.name = question.shown;
    std::ranges::transform(question.name, question.name.begin(), [](unsigned char c) { return std::tolower(c); });
    question.id = parsed.value().id;
    question.type = static_cast<unsigned>(parsed.value().question.type);
    question.tcp = tcp;
    question.edns = parsed.value().edns.has_value();
    question.from_port = base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr&>(peer)).port;
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back(question);
    }
    return script_(question);
  }
  void serve_udp() {
    std::string raw(4096, '\0');
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    const auto size =
        ::recvfrom(udp_.get(), raw.data(), raw.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&peer), &length);
    if (size < 0) return;
    raw.resize(static_cast<std::size_t>(size));
    for (const auto& reply : ask(raw, false, peer)) {
      const int socket = reply.from_another_port ? other_.get() : udp_.get();
      (void)::sendto(socket, reply.bytes.data(), reply.bytes.size(), 0, reinterpret_cast<const sockaddr*>(&peer),
                     length);
    }
  }
  void serve_tcp() {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    base::Fd client(::accept4(tcp_.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC));
    if (!client) return;
    const auto read_exactly = [&](std::size_t count) {
      std::string bytes(count, '\0');
      return ::recv(client.get(), bytes.data(), count, MSG_WAITALL) == static_cast<ssize_t>(count) ? bytes : "";
    };
    const std::string prefix = read_exactly(2);
    if (prefix.size() != 2) return;
    const auto wanted =
        static_cast<std::size_t>(static_cast<std::uint8_t>(prefix[0]) << 8 | static_cast<std::uint8_t>(prefix[1]));
    for (const auto& reply : ask(read_exactly(wanted), true, peer)) {
      const std::string framed = dns_wire::with_length(reply.bytes);
      (void)::send(client.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
    }
  }

  Script script_;
  base::Fd udp_;
  base::Fd tcp_;
  base::Fd other_;
  base::Fd wake_;
  base::Endpoint endpoint_;
  mutable std::mutex mutex_;
  std::vector<UpstreamQuestion> seen_;
  std::thread thread_;
};

}  // namespace soleroute::testing
