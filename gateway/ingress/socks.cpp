// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/ingress/socks.h"

#include <array>
#include <cstddef>
#include <utility>

#include "base/byte_reader.h"
#include "sniffer/socks5.h"

namespace soleroute::gateway::ingress {
namespace {

namespace asio = boost::asio;
using policy::Reason;
using Command = sniffer::Socks5Request::Command;

constexpr std::size_t kSmallRead = 512;  // more than both messages of a client together

// Reads once, under the stream's deadline. False: the client left, or sent nothing in time.
asio::awaitable<bool> read_more(net::Stream& stream, flow::ReadAhead& read) {
  std::array<std::byte, kSmallRead> buffer{};
  const auto count = co_await stream.read_some(buffer);
  const std::size_t size = count ? *count : 0;
  read.insert(read.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
  co_return size > 0;
}

// Cuts one message off the front of what is read.
template <class Message>
asio::awaitable<std::optional<Message>> next_message(net::Stream& stream, flow::ReadAhead& read,
                                                     sniffer::Parsed<Message> (*parse)(base::Bytes)) {
  for (;;) {
    auto parsed = parse(read);
    if (parsed.complete()) co_return std::move(parsed).value();
    if (parsed.malformed()) co_return std::nullopt;
    const bool more = co_await read_more(stream, read);
    if (!more) co_return std::nullopt;
  }
}

void consume(flow::ReadAhead& read, std::size_t size) {
  read.erase(read.begin(), read.begin() + static_cast<std::ptrdiff_t>(size));
}

asio::awaitable<void> refuse(flow::Context& context, flow::ClientConnection& client, flow::Refusal refusal,
                             std::string last_word) {
  flow::log_refusal(context, client, refusal);
  co_await flow::send_and_close(*client.stream, std::move(last_word));
}

flow::Refusal refusal(Reason reason, std::string detail) {
  return {.phase = policy::Phase::kConnect, .reason = reason, .detail = std::move(detail)};
}

// The greeting, answered.
asio::awaitable<bool> greeted(flow::Context& context, flow::ClientConnection& client, flow::ReadAhead& read) {
  const auto greeting = co_await next_message(*client.stream, read, sniffer::parse_socks5_greeting);
  if (!greeting) {
    auto why = refusal(client.stream->timed_out() ? Reason::kTimedOut : Reason::kMalformed, "SOCKS5 without a request");
    flow::log_refusal(context, client, why);
    client.stream->reset();
    co_return false;
  }
  if (!greeting->without_authentication) {
    auto why = refusal(Reason::kMalformed, "SOCKS5 with a password: this proxy asks for none");
    std::string none("\x05\xff", 2);
    co_await refuse(context, client, std::move(why), std::move(none));
    co_return false;
  }
  consume(read, greeting->size);
  constexpr std::string_view kNoAuthentication("\x05\x00", 2);
  const auto written = co_await client.stream->write_all(base::as_bytes(kNoAuthentication));
  if (!written) client.stream->reset();
  co_return written.has_value();
}

std::optional<SocksAsked> asked_by(const sniffer::Socks5Request& request) {
  SocksAsked asked{.host = std::nullopt, .address = request.address, .port = request.port};
  if (request.domain.empty()) return asked;
  if (const auto address = base::IpAddress::parse(request.domain)) {
    asked.address = *address;
    return asked;
  }
  auto host = base::HostName::parse(request.domain);
  if (!host) return std::nullopt;
  asked.host = std::move(*host);
  return asked;
}

}  // namespace

std::string socks_reply(SocksReply reply) {
  constexpr std::size_t kWithV4 = 10;  // and the address 0.0.0.0:0: clients of CONNECT do not use it
  std::string out(kWithV4, '\0');
  out[0] = 5;
  out[1] = static_cast<char>(reply);
  out[3] = 1;
  return out;
}

SocksReply socks_reply_to(const flow::DialFailure& failure) {
  if (policy::is_refused_address(failure.reason)) return SocksReply::kNotAllowed;
  if (failure.fault == flow::DialFault::kRefused) return SocksReply::kRefused;
  return failure.fault == flow::DialFault::kLimit ? SocksReply::kFailed : SocksReply::kHostUnreachable;
}

asio::awaitable<std::optional<SocksAsked>> socks_asked(flow::Context& context, flow::ClientConnection& client,
                                                       flow::ReadAhead& read) {
  const bool ready = co_await greeted(context, client, read);
  if (!ready) co_return std::nullopt;
  const auto request = co_await next_message(*client.stream, read, sniffer::parse_socks5_request);
  if (!request) {
    auto why = refusal(client.stream->timed_out() ? Reason::kTimedOut : Reason::kMalformed, "SOCKS5 without a request");
    co_await refuse(context, client, std::move(why), socks_reply(SocksReply::kFailed));
    co_return std::nullopt;
  }
  if (request->command != Command::kConnect) {
    auto why = refusal(Reason::kMalformed, "SOCKS5 with another command than CONNECT");
    co_await refuse(context, client, std::move(why), socks_reply(SocksReply::kCommandUnsupported));
    co_return std::nullopt;
  }
  if (!request->address_type_known()) {
    auto why = refusal(Reason::kMalformed, "SOCKS5 with an unknown type of address");
    co_await refuse(context, client, std::move(why), socks_reply(SocksReply::kAddressTypeUnsupported));
    co_return std::nullopt;
  }
  auto asked = asked_by(*request);
  if (!asked) {
    auto why = refusal(Reason::kInvalidName, "SOCKS5 with a host that is not a host name");
    co_await refuse(context, client, std::move(why), socks_reply(SocksReply::kNotAllowed));
    co_return std::nullopt;
  }
  consume(read, request->size);
  co_return asked;
}

}  // namespace soleroute::gateway::ingress
