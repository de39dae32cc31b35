// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/exchange.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "gateway/dns/await.h"
#include "sniffer/dns_message.h"

namespace soleroute::gateway::dns {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using sniffer::DnsName;
using sniffer::DnsQuery;
using sniffer::DnsRcode;
using sniffer::DnsResponse;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kDatagramBuffer = 4096;

// A socket and the timer that closes it. Shared with the timer's handler, which may run after the exchange is over.
template <class Socket>
struct Timed {
  explicit Timed(asio::io_context& io) : socket(io), timer(io) {}
  Socket socket;
  asio::steady_timer timer;
  bool timed_out = false;

  [[nodiscard]] ExchangeFault fault() const {
    return timed_out ? ExchangeFault::kTimedOut : ExchangeFault::kUnreachable;
  }
};

template <class Socket>
void arm(const std::shared_ptr<Timed<Socket>>& timed, std::chrono::milliseconds timeout) {
  timed->timer.expires_after(timeout);
  timed->timer.async_wait([timed](const boost::system::error_code& error) {
    if (error) return;
    timed->timed_out = true;
    boost::system::error_code ignored;
    timed->socket.close(ignored);
  });
}

// Ends the timer when the exchange is over, whichever way.
template <class Socket>
class Disarm {
 public:
  explicit Disarm(Timed<Socket>& timed) : timed_(timed) {}
  Disarm(const Disarm&) = delete;
  Disarm& operator=(const Disarm&) = delete;
  ~Disarm() { timed_.timer.cancel(); }

 private:
  Timed<Socket>& timed_;
};

base::Fd open_socket(const ExchangeRequest& request, int type) {
  const int family = request.server.address.is_v4() ? AF_INET : AF_INET6;
  base::Fd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd || request.mark == 0) return fd;
  // Unmarked, the question would be redirected back to this very gateway.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &request.mark, sizeof request.mark) != 0) return {};
  return fd;
}

template <class Socket>
bool adopt(Socket& socket, base::Fd fd, const base::Endpoint& server) {
  using Protocol = typename Socket::protocol_type;
  boost::system::error_code error;
  socket.assign(server.address.is_v4() ? Protocol::v4() : Protocol::v6(), fd.get(), error);
  if (error) return false;
  (void)fd.release();
  return true;
}

bool connect_now(int fd, const base::Endpoint& server) {
  sockaddr_storage address{};
  const auto length = static_cast<socklen_t>(server.to_sockaddr(address));
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0;
}

// Id and letter case from the kernel's generator; nullopt if it has none to give.
std::optional<DnsQuery> unguessable(const ExchangeRequest& request) {
  std::array<std::byte, 34> random{};
  if (::getrandom(random.data(), random.size(), GRND_NONBLOCK) != static_cast<ssize_t>(random.size())) {
    return std::nullopt;
  }
  DnsQuery query;
  query.id =
      static_cast<std::uint16_t>((std::to_integer<unsigned>(random[0]) << 8U) | std::to_integer<unsigned>(random[1]));
  query.recursion_desired = true;
  query.question.name = DnsName::from_host(request.name).with_random_case(std::span(random).subspan(2));
  query.question.type = request.type;
  return query;
}

bool answers(const DnsQuery& query, const DnsResponse& response) {
  return response.id == query.id && response.question.type == query.question.type &&
         response.question.klass == query.question.klass &&
         response.question.name.same_ignoring_case(query.question.name);
}

bool says_no_edns(DnsRcode rcode) {
  return rcode == DnsRcode::kFormErr || rcode == DnsRcode::kNotImp || rcode == DnsRcode::kBadVers;
}

// What a response without the question means: servers that cannot read a query answer with a header alone.
Heard judge_header(const sniffer::DnsHeader& header) {
  const auto rcode = static_cast<DnsRcode>(header.flags & 0xfU);
  const bool bare = header.questions == 0 && rcode != DnsRcode::kNoError && rcode != DnsRcode::kNxDomain;
  return {.fault = bare ? ExchangeFault::kNoEdns : ExchangeFault::kMalformed, .rcode = rcode};
}

// What one datagram means; nullopt: it is not about this question, wait for another.
std::optional<Heard> judge(const DnsQuery& query, base::Bytes datagram) {
  const auto header = sniffer::parse_dns_header(datagram);
  if (!header || header->id != query.id || !header->is_response()) return std::nullopt;
  auto parsed = sniffer::parse_dns_response(datagram);
  if (!parsed.complete()) return judge_header(*header);
  DnsResponse response = std::move(parsed).value();
  if (!answers(query, response)) return std::nullopt;
  const auto rcode = response.rcode;
  const bool case_kept = response.question.name == query.question.name;
  const bool truncated = response.truncated;
  // Whatever its letter case: it makes the gateway ask again, not believe.
  if (says_no_edns(rcode)) return Heard{.fault = ExchangeFault::kNoEdns, .rcode = rcode};
  Heard heard{.response = std::move(response), .rcode = rcode};
  if (!case_kept) {
    heard.fault = ExchangeFault::kCaseLost;
  } else if (truncated) {
    heard.fault = ExchangeFault::kTruncated;
  } else if (!is_usable(rcode)) {
    heard = {.fault = ExchangeFault::kServerFault, .rcode = rcode};
  }
  return heard;
}

// What a whole message of a connection means.
ExchangeResult judge_stream(const DnsQuery& query, base::Bytes message) {
  auto parsed = sniffer::parse_dns_response(message);
  if (!parsed.complete()) return std::unexpected(ExchangeFault::kMalformed);
  DnsResponse response = std::move(parsed).value();
  if (!answers(query, response) || response.truncated) return std::unexpected(ExchangeFault::kMalformed);
  if (!is_usable(response.rcode)) return std::unexpected(ExchangeFault::kServerFault);
  return response;
}

std::vector<std::byte> with_length(const std::vector<std::byte>& message) {
  std::vector<std::byte> framed{static_cast<std::byte>(message.size() >> 8U), static_cast<std::byte>(message.size())};
  framed.insert(framed.end(), message.begin(), message.end());
  return framed;
}

tcp::endpoint tcp_endpoint(const base::Endpoint& server) {
  tcp::endpoint endpoint;
  sockaddr_storage address{};
  const auto length = server.to_sockaddr(address);
  std::memcpy(endpoint.data(), &address, length);
  endpoint.resize(length);
  return endpoint;
}

// Fills `into` or says why not.
asio::awaitable<std::optional<ExchangeFault>> read_exactly(net::Stream& stream, std::span<std::byte> into) {
  while (!into.empty()) {
    const auto got = co_await stream.read_some(into);
    if (!got || *got == 0) co_return stream.timed_out() ? ExchangeFault::kTimedOut : ExchangeFault::kUnreachable;
    into = into.subspan(*got);
  }
  co_return std::nullopt;
}

}  // namespace

bool is_usable(DnsRcode rcode) {
  return rcode == DnsRcode::kNoError || rcode == DnsRcode::kNxDomain;
}

std::string_view to_string(ExchangeFault fault) {
  switch (fault) {
    case ExchangeFault::kTimedOut:
      return "timed out";
    case ExchangeFault::kUnreachable:
      return "unreachable";
    case ExchangeFault::kMalformed:
      return "sent a malformed answer";
    case ExchangeFault::kTruncated:
      return "sent a truncated answer";
    case ExchangeFault::kCaseLost:
      return "did not keep the letter case";
    case ExchangeFault::kForgeries:
      return "was drowned in forged answers";
    case ExchangeFault::kNoEdns:
      return "does not know EDNS";
    case ExchangeFault::kServerFault:
      return "failed or refused";
    case ExchangeFault::kSystem:
      return "cannot query: no socket, or no permission to set its mark";
  }
  return "failed";
}

asio::awaitable<Heard> exchange_udp(asio::io_context& io, ExchangeRequest request) {
  auto query = unguessable(request);
  base::Fd fd = open_socket(request, SOCK_DGRAM);
  Heard failed{.fault = ExchangeFault::kSystem};
  if (!query || !fd) co_return failed;
  failed.fault = ExchangeFault::kUnreachable;
  if (!connect_now(fd.get(), request.server)) co_return failed;
  if (request.edns) query->edns = sniffer::DnsEdns{.udp_size = sniffer::kEdnsSize, .version = 0};
  const auto message = sniffer::build_dns_query(*query);
  if (::send(fd.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) co_return failed;

  const auto timed = std::make_shared<Timed<udp::socket>>(io);
  failed.fault = ExchangeFault::kSystem;
  if (!adopt(timed->socket, std::move(fd), request.server)) co_return failed;
  arm(timed, request.timeout);
  const Disarm disarm(*timed);
  std::vector<std::byte> buffer(kDatagramBuffer);
  std::optional<Heard> careless;
  for (std::size_t mismatches = 0; mismatches < kMaxMismatches; ++mismatches) {
    const auto into = asio::buffer(buffer.data(), buffer.size());
    const auto [error, size] = co_await timed->socket.async_receive(into, kAwait);
    failed.fault = timed->fault();
    if (error) co_return careless ? *std::move(careless) : failed;
    auto heard = judge(*query, std::span(buffer).first(size));
    if (!heard || (careless && heard->fault == ExchangeFault::kCaseLost)) continue;
    if (heard->fault != ExchangeFault::kCaseLost || request.case_patience.count() == 0) co_return *std::move(heard);
    careless = std::move(heard);
    arm(timed, std::min(request.case_patience, request.timeout));
  }
  if (careless) co_return *std::move(careless);
  failed.fault = ExchangeFault::kForgeries;
  co_return failed;
}

asio::awaitable<ExchangeResult> exchange_tcp(asio::io_context& io, ExchangeRequest request) {
  const auto query = unguessable(request);
  base::Fd fd = open_socket(request, SOCK_STREAM);
  if (!query || !fd) co_return std::unexpected(ExchangeFault::kSystem);
  const auto timed = std::make_shared<Timed<tcp::socket>>(io);
  if (!adopt(timed->socket, std::move(fd), request.server)) co_return std::unexpected(ExchangeFault::kSystem);
  arm(timed, request.timeout);
  const Disarm disarm(*timed);

  const auto endpoint = tcp_endpoint(request.server);
  if (const auto [error] = co_await timed->socket.async_connect(endpoint, kAwait); error) {
    co_return std::unexpected(timed->fault());
  }
  const auto framed = with_length(sniffer::build_dns_query(*query));
  const auto out = asio::buffer(framed.data(), framed.size());
  if (const auto [error, sent] = co_await asio::async_write(timed->socket, out, kAwait); error) {
    co_return std::unexpected(timed->fault());
  }
  std::vector<std::byte> message(sniffer::kTcpLengthPrefix);
  auto in = asio::buffer(message.data(), message.size());
  if (const auto [error, got] = co_await asio::async_read(timed->socket, in, kAwait); error) {
    co_return std::unexpected(timed->fault());
  }
  message.resize(std::to_integer<std::size_t>(message[0]) << 8U | std::to_integer<std::size_t>(message[1]));
  in = asio::buffer(message.data(), message.size());
  if (const auto [error, got] = co_await asio::async_read(timed->socket, in, kAwait); error) {
    co_return std::unexpected(timed->fault());
  }

  co_return judge_stream(*query, message);
}

asio::awaitable<ExchangeResult> exchange_over(net::Stream& stream, ExchangeRequest request) {
  const auto query = unguessable(request);
  if (!query) co_return std::unexpected(ExchangeFault::kSystem);
  const auto framed = with_length(sniffer::build_dns_query(*query));
  if (const auto written = co_await stream.write_all(framed); !written) {
    co_return std::unexpected(stream.timed_out() ? ExchangeFault::kTimedOut : ExchangeFault::kUnreachable);
  }
  std::vector<std::byte> message(sniffer::kTcpLengthPrefix);
  if (const auto fault = co_await read_exactly(stream, message)) co_return std::unexpected(*fault);
  message.resize(std::to_integer<std::size_t>(message[0]) << 8U | std::to_integer<std::size_t>(message[1]));
  if (const auto fault = co_await read_exactly(stream, message)) co_return std::unexpected(*fault);
  co_return judge_stream(*query, message);
}

}  // namespace soleroute::gateway::dns
