// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/proxy_tunnel.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "base/byte_reader.h"
#include "base/text.h"
#include "base/web_ports.h"
#include "sniffer/http1_text.h"

namespace soleroute::gateway::flow {
namespace {

namespace asio = boost::asio;
using Kind = UpstreamProxy::Kind;
using Done = std::expected<void, DialFailure>;

constexpr std::size_t kMaxAnswerHead = std::size_t{16} << 10;
constexpr int kMaxInterimAnswers = 8;
constexpr std::size_t kMaxShown = 60;     // of what the proxy says of itself
constexpr std::size_t kLeastAnswer = 14;  // "HTTP/1.1 200" and an empty line
constexpr std::string_view kPasswordOptions =
    "give a user and a password in --upstream-proxy and --upstream-proxy-password-file";

std::unexpected<DialFailure> proxy_failed(const UpstreamProxy& proxy, std::string_view what,
                                          policy::Reason reason = policy::Reason::kUpstreamFailed) {
  const auto fault = reason == policy::Reason::kTimedOut ? DialFault::kTimedOut : DialFault::kOther;
  return dial_failed(reason, fmt::format("upstream proxy {} {}", proxy.place(), what), fault);
}

std::unexpected<DialFailure> broken(const UpstreamProxy& proxy, const base::Error& error) {
  if (error.sys_errno == ETIMEDOUT) {
    return proxy_failed(proxy, "did not answer in time", policy::Reason::kTimedOut);
  }
  return proxy_failed(proxy, "closed the connection without an answer");
}

std::string base64(std::string_view text) {
  std::vector<unsigned char> out(4 * ((text.size() + 2) / 3) + 1);
  const int length =
      EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  return {reinterpret_cast<const char*>(out.data()), static_cast<std::size_t>(length)};
}

// A field with its line end; nothing without a login.
std::string login_field(const UpstreamProxy& proxy) {
  if (!proxy.has_login()) return {};
  return fmt::format("Proxy-Authorization: Basic {}\r\n", base64(proxy.user + ":" + proxy.password));
}

// Exactly this many bytes.
asio::awaitable<base::Status> read_exactly(net::Stream& stream, std::span<std::byte> into) {
  while (!into.empty()) {
    const auto count = co_await stream.read_some(into);
    if (!count) co_return std::unexpected(count.error());
    if (*count == 0) co_return base::system_error("closed");
    into = into.subspan(*count);
  }
  co_return base::Status{};
}

// How many bytes the head must have yet, at least; 0: it is whole. Lines end with LF, with or without CR.
std::size_t missing_of(std::string_view head) {
  if (head.size() < kLeastAnswer) return kLeastAnswer - head.size();
  if (head.ends_with("\n\r\n") || head.ends_with("\n\n")) return 0;
  return head.ends_with("\n") || head.ends_with("\n\r") ? 1 : 2;
}

enum class HeadEnd : std::uint8_t { kWhole, kTooLong };

asio::awaitable<base::Result<HeadEnd>> read_answer_head(net::Stream& stream, std::string& head) {
  while (const std::size_t missing = missing_of(head)) {
    const std::size_t before = head.size();
    if (before + missing > kMaxAnswerHead) co_return HeadEnd::kTooLong;
    head.resize(before + missing);
    const auto bytes = std::as_writable_bytes(std::span(head)).subspan(before);
    auto read = co_await read_exactly(stream, bytes);
    if (!read) co_return std::unexpected(std::move(read.error()));
  }
  co_return HeadEnd::kWhole;
}

// Of "HTTP/1.x NNN …"; nothing else is a status line.
std::optional<int> status_of(std::string_view head) {
  constexpr std::string_view kVersion = "HTTP/1.";
  if (!head.starts_with(kVersion) || head.size() < 13 || head[8] != ' ') return std::nullopt;
  if (!std::ranges::all_of(head.substr(9, 3), base::is_digit) || base::is_digit(head[12])) return std::nullopt;
  return (head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0');
}

// All that it would accept, one after another.
std::string challenges_in(std::string_view head) {
  std::string out;
  for (const std::string_view line : base::lines_of(head)) {
    const auto colon = std::min(line.find(':'), line.size());
    if (!sniffer::http1::same_ignoring_case(line.substr(0, colon), "proxy-authenticate")) continue;
    out.append(out.empty() ? "" : ",").append(line.substr(std::min(line.size(), colon + 1)));
  }
  return out;
}

bool offers_basic(std::string_view challenges) {
  constexpr std::string_view kBasic = "basic";
  for (std::size_t i = 0; i + kBasic.size() <= challenges.size(); ++i) {
    if (sniffer::http1::same_ignoring_case(challenges.substr(i, kBasic.size()), kBasic)) return true;
  }
  return false;
}

std::string refusal_text(const UpstreamProxy& proxy, int status, std::string_view head, const std::string& asked) {
  if (status == 407) return login_fault(proxy, challenges_in(head));
  const auto line = head.substr(0, head.find_first_of("\r\n"));
  const std::string phrase = line.size() > 13 ? base::shown_ascii(line.substr(13), kMaxShown) : "";
  return fmt::format("upstream proxy {} answered {}{}{} to CONNECT {}", proxy.place(), status,
                     phrase.empty() ? "" : " ", phrase, asked);
}

asio::awaitable<Done> ask_over_http(net::Stream& stream, const UpstreamProxy& proxy, ProxyTarget target) {
  const std::string asked = target.authority();
  const std::string request = connect_request(proxy, asked);
  auto sent = co_await stream.write_all(base::as_bytes(request));
  if (!sent) co_return broken(proxy, sent.error());
  std::string head;
  for (int interim = 0;; ++interim) {
    head.clear();
    const auto end = co_await read_answer_head(stream, head);
    if (!end) co_return broken(proxy, end.error());
    const auto status = *end == HeadEnd::kWhole ? status_of(head) : std::nullopt;
    if (!status) co_return proxy_failed(proxy, "does not speak HTTP");
    if (*status / 100 == 2) co_return Done{};
    if (*status / 100 == 1 && *status != 101 && interim < kMaxInterimAnswers) continue;
    const bool late = *status == 504;
    co_return dial_failed(late ? policy::Reason::kTimedOut : policy::Reason::kUpstreamFailed,
                          refusal_text(proxy, *status, head, asked));
  }
}

// RFC 1928.
constexpr std::byte kSocksVersion{5};
constexpr std::byte kNoLogin{0};
constexpr std::byte kUserAndPassword{2};
constexpr std::byte kConnect{1};
constexpr std::byte kAddress4{1};
constexpr std::byte kName{3};
constexpr std::byte kAddress6{4};

std::string_view socks_refusal(std::byte code) {
  constexpr std::array<std::string_view, 9> kReplies{"",
                                                     "a general failure",
                                                     "not allowed by its rules",
                                                     "network unreachable",
                                                     "host unreachable",
                                                     "connection refused",
                                                     "connection timed out",
                                                     "command not supported",
                                                     "address type not supported"};
  const auto number = std::to_integer<std::size_t>(code);
  return number < kReplies.size() ? kReplies[number] : "an unknown failure";
}

void append(std::vector<std::byte>& out, std::string_view text) {
  const auto bytes = base::as_bytes(text);
  out.push_back(static_cast<std::byte>(text.size()));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::vector<std::byte> socks_request(const ProxyTarget& target) {
  std::vector<std::byte> out{kSocksVersion, kConnect, std::byte{0}};
  if (target.name) {
    out.push_back(kName);
    append(out, target.name->text());
  } else {
    out.push_back(target.address.is_v4() ? kAddress4 : kAddress6);
    const auto bytes = std::as_bytes(target.address.bytes());
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  out.push_back(static_cast<std::byte>(target.port >> 8));
  out.push_back(static_cast<std::byte>(target.port & 0xff));
  return out;
}

// RFC 1929.
asio::awaitable<Done> log_in_to_socks(net::Stream& stream, const UpstreamProxy& proxy) {
  std::vector<std::byte> login{std::byte{1}};
  append(login, proxy.user);
  append(login, proxy.password);
  auto sent = co_await stream.write_all(login);
  if (!sent) co_return broken(proxy, sent.error());
  std::array<std::byte, 2> answer{};
  auto read = co_await read_exactly(stream, answer);
  if (!read) co_return broken(proxy, read.error());
  if (answer[1] != std::byte{0}) co_return proxy_failed(proxy, "refused the user name or password");
  co_return Done{};
}

// Where the proxy connected from: of no interest, but it has to be read.
asio::awaitable<Done> read_bound_address(net::Stream& stream, const UpstreamProxy& proxy, std::byte kind) {
  std::size_t length = kind == kAddress4 ? 4 : kind == kAddress6 ? 16 : 0;
  if (kind == kName) {
    std::array<std::byte, 1> size{};
    auto read = co_await read_exactly(stream, size);
    if (!read) co_return broken(proxy, read.error());
    length = std::to_integer<std::size_t>(size[0]);
  } else if (length == 0) {
    co_return proxy_failed(proxy, "does not speak SOCKS 5");
  }
  std::vector<std::byte> rest(length + 2);
  auto read = co_await read_exactly(stream, rest);
  if (!read) co_return broken(proxy, read.error());
  co_return Done{};
}

asio::awaitable<Done> ask_over_socks(net::Stream& stream, const UpstreamProxy& proxy, ProxyTarget target) {
  const std::byte method = proxy.has_login() ? kUserAndPassword : kNoLogin;
  std::vector<std::byte> greeting{kSocksVersion, std::byte{1}, kNoLogin};
  if (proxy.has_login()) greeting = {kSocksVersion, std::byte{2}, kNoLogin, kUserAndPassword};
  auto sent = co_await stream.write_all(greeting);
  if (!sent) co_return broken(proxy, sent.error());
  std::array<std::byte, 2> chosen{};
  auto read = co_await read_exactly(stream, chosen);
  if (!read) co_return broken(proxy, read.error());
  if (chosen[0] != kSocksVersion) co_return proxy_failed(proxy, "does not speak SOCKS 5");
  if (chosen[1] != kNoLogin && chosen[1] != method) {
    co_return proxy_failed(proxy, fmt::format("wants a login: {}", kPasswordOptions));
  }
  if (chosen[1] == kUserAndPassword) {
    auto logged_in = co_await log_in_to_socks(stream, proxy);
    if (!logged_in) co_return logged_in;
  }
  const auto request = socks_request(target);
  sent = co_await stream.write_all(request);
  if (!sent) co_return broken(proxy, sent.error());
  std::array<std::byte, 4> answer{};
  read = co_await read_exactly(stream, answer);
  if (!read) co_return broken(proxy, read.error());
  if (answer[0] != kSocksVersion) co_return proxy_failed(proxy, "does not speak SOCKS 5");
  if (answer[1] != std::byte{0}) {
    const std::string what = fmt::format("refused {}: {}", target.authority(), socks_refusal(answer[1]));
    co_return proxy_failed(proxy, what);
  }
  co_return co_await read_bound_address(stream, proxy, answer[3]);
}

}  // namespace

std::string ProxyTarget::authority() const {
  return name ? fmt::format("{}:{}", name->text(), port) : base::Endpoint{address.unmapped(), port}.to_string();
}

asio::awaitable<Done> ask_for_tunnel(net::Stream& stream, const UpstreamProxy& proxy, ProxyTarget target) {
  stream.expires_after(kProxyAnswerTimeout);
  if (proxy.kind == Kind::kSocks5h) return ask_over_socks(stream, proxy, std::move(target));
  return ask_over_http(stream, proxy, std::move(target));
}

std::string connect_request(const UpstreamProxy& proxy, const std::string& authority) {
  return fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n{1}\r\n", authority, login_field(proxy));
}

std::string forwarded_by_proxy(std::string_view head, const UpstreamProxy& proxy, const ProxyTarget& target) {
  const auto method_end = std::min(head.find(' '), head.size());
  std::string out(head.substr(0, method_end));
  std::string authority = target.authority();
  const std::string usual = fmt::format(":{}", base::kHttpPort);
  if (target.port == base::kHttpPort) authority.resize(authority.size() - usual.size());
  out += " http://" + authority;
  head.remove_prefix(std::min(head.size(), method_end + 1));
  if (head.starts_with("* ")) head.remove_prefix(1);  // OPTIONS of the whole server: RFC 9112 section 3.2.4
  const auto line_end = std::min(head.find('\n'), head.size() - 1) + 1;
  out.append(head.substr(0, line_end)).append(login_field(proxy)).append(head.substr(line_end));
  return out;
}

std::string login_fault(const UpstreamProxy& proxy, std::string_view challenges) {
  std::string out = fmt::format("upstream proxy {} answered 407: ", proxy.place());
  while (challenges.starts_with(' ')) challenges.remove_prefix(1);
  if (!challenges.empty() && !offers_basic(challenges)) {
    const auto scheme = challenges.substr(0, challenges.find_first_of(" ,"));
    return out + fmt::format("it asks for {}, and the gateway can send Basic only", base::shown_ascii(scheme, 20));
  }
  return out.append(proxy.has_login() ? "the user name or password is wrong" : kPasswordOptions);
}

}  // namespace soleroute::gateway::flow
