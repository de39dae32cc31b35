// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/verify_checks.h"

#include <fmt/format.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/fd.h"
#include "base/text.h"
#include "base/web_ports.h"
#include "gateway/audit/probe.h"
#include "gateway/commands/probe_socket.h"
#include "gateway/commands/probe_tls.h"
#include "gateway/netlink/links.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::commands {
namespace {

constexpr std::uint16_t kDns = 53;
constexpr std::uint16_t kDnsOverTls = 853;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

CheckResult failed(std::string seen) {
  return {.ok = false, .seen = std::move(seen)};
}
CheckResult passed(std::string seen) {
  return {.ok = true, .seen = std::move(seen)};
}

// An error of the network, as opposed to silence.
bool is_refusal(int err) {
  constexpr std::array kRefusals{ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH,   EACCES,
                                 EPERM,        EPIPE,      EPROTO,       EADDRNOTAVAIL, EAFNOSUPPORT};
  return std::ranges::find(kRefusals, err) != kRefusals.end();
}

CheckResult judge_refusal(const base::Error& error) {
  if (error.sys_errno == ETIMEDOUT) return failed("timed out (expected an immediate refusal)");
  if (!is_refusal(error.sys_errno)) return failed(error.message);
  return passed("refused: " + std::generic_category().message(error.sys_errno));
}

// --- DNS ---

constexpr std::uint16_t kQuestionId = 0x5352;

base::Result<sniffer::DnsAnswer> parse_answer(std::string_view bytes) {
  const auto response = sniffer::parse_dns_response(std::as_bytes(std::span(bytes)));
  if (!response.complete() || response.value().id != kQuestionId) return base::system_error("a malformed answer");
  const auto rcode = response.value().rcode;
  if (rcode != sniffer::DnsRcode::kNoError && rcode != sniffer::DnsRcode::kNxDomain) {
    return base::system_error(fmt::format("answered with DNS error {}", static_cast<int>(rcode)));
  }
  auto answer = sniffer::answer_of(response.value());
  if (!answer.complete()) return base::system_error("a malformed answer");
  return std::move(answer).value();
}

base::Result<sniffer::DnsAnswer> ask_dns(ProbeKind kind, const base::Endpoint& server, const base::HostName& name) {
  sniffer::DnsQuery query;
  query.id = kQuestionId;
  query.recursion_desired = true;
  query.question.name = sniffer::DnsName::from_host(name);
  const auto message = sniffer::build_dns_query(query);
  SR_LET(socket, ProbeSocket::connect(kind, server, kAnsweredWithin));
  std::string bytes;
  if (kind == ProbeKind::kTcp) {  // RFC 1035 section 4.2.2
    bytes += static_cast<char>(message.size() >> 8U);
    bytes += static_cast<char>(message.size() & 0xFFU);
  }
  bytes += as_text(message);
  SR_TRY(socket->send(bytes));
  if (kind == ProbeKind::kUdp) {
    const auto answer = socket->receive();
    return answer ? parse_answer(*answer) : std::unexpected(answer.error());
  }
  const auto whole = [](const std::string& all) {
    const auto byte = [&all](std::size_t at) { return static_cast<unsigned char>(all[at]); };
    return all.size() >= 2 && all.size() - 2 >= (static_cast<std::size_t>(byte(0)) << 8U | byte(1));
  };
  SR_LET(answer, socket->receive_until(whole));
  if (!whole(*answer)) return base::system_error("the answer was cut short");
  return parse_answer(std::string_view(*answer).substr(2));
}

std::string addresses_text(const std::vector<base::IpAddress>& addresses) {
  std::string all;
  for (const auto& address : addresses) all += (all.empty() ? "" : ", ") + address.to_string();
  return all.empty() ? "no address" : all;
}

CheckResult check_dns(ProbeKind kind, const base::Endpoint& server, const base::HostName& name) {
  const auto answer = ask_dns(kind, server, name);
  if (!answer) return failed(answer.error().message);
  return passed("answered with " + addresses_text(answer->addresses));
}

// Both must come from the gateway: then they are the same, and the denied name has the gateway's address or none.
CheckResult check_foreign_resolver(const base::Endpoint& usual, const base::HostName& denied) {
  const base::Endpoint foreign{audit::probe_v4(), kDns};
  const auto theirs = ask_dns(ProbeKind::kUdp, foreign, denied);
  if (!theirs) return judge_refusal(theirs.error());
  const auto ours = ask_dns(ProbeKind::kUdp, usual, denied);
  if (!ours) return failed(ours.error().message);
  if (ours->addresses != theirs->addresses)
    return failed("another server answers: " + addresses_text(theirs->addresses));
  return passed("the gateway answers instead");
}

// --- HTTP and TLS ---

base::Result<std::string> http_get(const base::Endpoint& to, std::string_view host, std::string_view path) {
  SR_LET(socket, ProbeSocket::connect(ProbeKind::kTcp, to, kAnsweredWithin));
  const auto request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: gateway-verify\r\nConnection: close\r\n\r\n", path, host);
  SR_TRY(socket->send(request));
  return socket->receive_until([](const std::string&) { return false; });
}

std::string first_line(std::string_view text) {
  return base::shown(text.substr(0, std::min(text.find("\r\n"), std::size_t{80})));
}

bool is_refusal_page(std::string_view response) {
  return response.starts_with("HTTP/1.1 403") && response.contains("Blocked by proxy policy: ");
}

CheckResult check_refusal_page(const base::Endpoint& to, std::string_view host) {
  const auto response = http_get(to, host, audit::kProbePath);
  if (!response) return failed(response.error().message);
  if (response->empty()) return failed("closed without an answer");
  if (!is_refusal_page(*response)) return failed("answered '" + first_line(*response) + "', not the refusal page");
  return passed("403, Blocked by proxy policy");
}

// A metadata service answers 4xx too where it wants a token or has no such path: the gateway must have said it.
CheckResult check_metadata() {
  const auto response =
      http_get({audit::metadata_v4(), base::kHttpPort}, audit::metadata_v4().to_string(), audit::kProbePath);
  if (!response) return judge_refusal(response.error());
  const bool gateway = response->starts_with("HTTP/1.1 4") && response->contains("\r\nX-Soleroute-Reason: ");
  if (gateway) return passed("refused: " + first_line(*response));
  if (response->empty()) return passed("refused: closed without an answer");
  return failed("answered '" + first_line(*response) + "'");
}

// An alert, or the page on a certificate of the gateway's own.
CheckResult check_tls_refused(const base::Endpoint& to, const base::HostName& name) {
  const auto probe = probe_tls(to, name.text(), audit::kProbePath, kAnsweredWithin);
  if (!probe) return judge_refusal(probe.error());
  switch (probe->outcome) {
    case TlsProbe::Outcome::kRefused:
      return passed("refused in the handshake");
    case TlsProbe::Outcome::kDone:
      if (is_refusal_page(probe->answer)) return passed("403, Blocked by proxy policy");
      return failed("a server answered '" + first_line(probe->answer) + "'");
    case TlsProbe::Outcome::kBegan:
      return failed("a server answered the handshake");
    case TlsProbe::Outcome::kNotTls:
      break;
  }
  return failed("answered with something that is not TLS");
}

// --- everything else ---

CheckResult check_tcp_refused(const base::Endpoint& to) {
  const auto socket = ProbeSocket::connect(ProbeKind::kTcp, to, kRefusedWithin);
  if (!socket) return judge_refusal(socket.error());
  return failed("connected");
}

CheckResult check_udp_refused(const base::Endpoint& to) {
  const auto socket = ProbeSocket::connect(ProbeKind::kUdp, to, kRefusedWithin);
  if (!socket) return judge_refusal(socket.error());
  if (auto sent = socket->send("gateway verify"); !sent) return judge_refusal(sent.error());
  const auto answer = socket->receive();
  return answer ? failed("answered") : judge_refusal(answer.error());
}

// The call that sends it fails (EPERM) where a rule of this namespace refuses a packet, or the ICMP error comes from
// this namespace itself, once the gateway that shares it has logged the packet. From elsewhere it proves nothing.
constexpr std::chrono::milliseconds kRuleAnswersWithin{500};

bool is_own(const base::IpAddress& address) {
  if (address.bytes()[0] == 127) return true;
  const auto interfaces = netlink::list_interfaces();
  return interfaces && std::ranges::any_of(*interfaces, [&](const netlink::Interface& interface) {
           return std::ranges::any_of(interface.addresses, [&](const auto& own) { return own.address == address; });
         });
}

// Who sent the ICMP error that waits at this socket (ip(7), IP_RECVERR).
std::optional<base::IpAddress> sender_of_error(int fd) {
  std::array<char, 256> text{};
  alignas(cmsghdr) std::array<char, 512> control{};
  iovec piece{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return std::nullopt;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != IPPROTO_IP || part->cmsg_type != IP_RECVERR) continue;
    if (part->cmsg_len < CMSG_LEN(sizeof(sock_extended_err) + sizeof(sockaddr_in))) continue;
    sock_extended_err error{};
    sockaddr_in from{};
    std::memcpy(&error, CMSG_DATA(part), sizeof(error));
    std::memcpy(&from, CMSG_DATA(part) + sizeof(error), sizeof(from));
    if (error.ee_origin != SO_EE_ORIGIN_ICMP) continue;
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &from.sin_addr, bytes.size());
    return base::IpAddress::v4(bytes);
  }
  return std::nullopt;
}

CheckResult check_guard() {
  const base::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  sockaddr_storage to{};
  const auto size = base::Endpoint{audit::probe_v4(), audit::kProbePort}.to_sockaddr(to);
  if (!socket || ::setsockopt(socket.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof(on)) != 0 ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), size) != 0) {
    return failed(std::generic_category().message(errno));
  }
  const bool sent = ::send(socket.get(), "gateway verify", 14, MSG_NOSIGNAL) >= 0;
  if (!sent && errno == EPERM) return passed("refused by a rule here");
  pollfd wanted{.fd = socket.get(), .events = 0, .revents = 0};
  if (sent && ::poll(&wanted, 1, static_cast<int>(kRuleAnswersWithin.count())) == 1) {
    const auto from = sender_of_error(socket.get());
    if (from && is_own(*from)) return passed("refused by a rule here");
  }
  return failed("not refused by a rule here; is agent-guard running?");
}

// An allowed name passes when its own server answers; that server's opinion does not matter.
CheckResult check_allowed(const base::Endpoint& resolver, const base::HostName& name) {
  const auto answer = ask_dns(ProbeKind::kUdp, resolver, name);
  if (!answer) return failed(answer.error().message);
  if (answer->addresses.empty()) return failed("has no address");
  const base::IpAddress address = answer->addresses.front();
  const auto tls = probe_tls({address, base::kHttpsPort}, name.text(), "/", kAnsweredWithin);
  if (tls && is_refusal_page(tls->answer)) return failed("the policy blocks it");
  const bool served = tls && (tls->outcome == TlsProbe::Outcome::kDone || tls->outcome == TlsProbe::Outcome::kBegan);
  if (served) return passed("https: its server answers the handshake");
  const auto page = http_get({address, base::kHttpPort}, name.text(), "/");
  if (!page) return failed("no answer over https or http: " + page.error().message);
  if (is_refusal_page(*page)) return failed("the policy blocks it");
  if (page->starts_with("HTTP/1.")) return passed("http: " + first_line(*page));
  return failed("no answer over https or http");
}

}  // namespace

bool is_without_gateway(const VerifyRequest& request) {
  if (request.guard == GuardCheck::kOnly) return false;
  const auto routes = netlink::list_default_routes();
  if (!routes || !routes->empty()) return false;
  return std::ranges::none_of(request.resolvers, [&](const base::Endpoint& resolver) {
    return ask_dns(ProbeKind::kUdp, resolver, request.denied) || ask_dns(ProbeKind::kTcp, resolver, request.denied);
  });
}

std::vector<Check> verify_checks(const VerifyRequest& request) {
  const Check guard{"traffic that bypasses the gateway is refused in this namespace", check_guard};
  if (request.guard == GuardCheck::kOnly) return {guard};
  const base::Endpoint resolver = request.resolvers.front();
  const base::HostName& denied = request.denied;
  const base::IpAddress v4 = audit::probe_v4();
  const base::IpAddress v6 = audit::probe_v6();
  std::vector<Check> checks{
      {"DNS over UDP is answered", [=] { return check_dns(ProbeKind::kUdp, resolver, denied); }},
      {"DNS over TCP is answered", [=] { return check_dns(ProbeKind::kTcp, resolver, denied); }},
      {"another resolver cannot be reached", [=] { return check_foreign_resolver(resolver, denied); }},
      {"DNS over TLS is refused", [=] { return check_tcp_refused({v4, kDnsOverTls}); }},
      {"a denied name over http gets the 403 page",
       [=] { return check_refusal_page({v4, base::kHttpPort}, denied.text()); }},
      {"a denied name over https is refused", [=] { return check_tls_refused({v4, base::kHttpsPort}, denied); }},
      {"cloud metadata is refused", [] { return check_metadata(); }},
      {"another TCP port is refused at once", [=] { return check_tcp_refused({v4, audit::kProbePort}); }},
      {"UDP is refused at once", [=] { return check_udp_refused({v4, audit::kProbePort}); }},
      {"QUIC is refused at once", [=] { return check_udp_refused({v4, base::kHttpsPort}); }},
      {"another TCP port over IPv6 is refused at once", [=] { return check_tcp_refused({v6, audit::kProbePort}); }},
      {"UDP over IPv6 is refused at once", [=] { return check_udp_refused({v6, audit::kProbePort}); }},
  };
  if (request.guard == GuardCheck::kAlso) checks.push_back(guard);
  for (const base::HostName& name : request.allowed) {
    checks.push_back({fmt::format("{} passes", name.text()), [=] { return check_allowed(resolver, name); }});
  }
  return checks;
}

}  // namespace soleroute::gateway::commands
