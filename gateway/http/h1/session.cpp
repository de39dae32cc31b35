// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h1/session.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <string>
#include <utility>

#include "base/web_ports.h"
#include "gateway/flow/held_requests.h"
#include "gateway/flow/proxy_tunnel.h"
#include "gateway/flow/refusal.h"
#include "gateway/flow/relay.h"
#include "gateway/http/ask_operator.h"
#include "gateway/http/h1/forwarded_head.h"
#include "gateway/http/h1/io.h"
#include "gateway/http/internal_site.h"
#include "sniffer/http1_text.h"

namespace soleroute::gateway::http::h1 {
namespace {

namespace asio = boost::asio;
using policy::Reason;
using Then = ExchangeResult::Then;

constexpr std::uint32_t kRequestsInATurn = 16;
constexpr std::size_t kMostOfAPage = std::size_t{256} << 10;  // that is one client's: the rest of it is shared
constexpr std::string_view kLacksChunks = "a body on this method over HTTP/1.0, under a rule about requests";
constexpr std::string_view kAbsoluteUrlNeeded = "requests to a proxy need an absolute http:// URL";
constexpr std::string_view kNoProxyHere =
    "there is no proxy at this address. Unset HTTPS_PROXY and HTTP_PROXY: connections without a proxy reach what the "
    "policy allows. For a program that needs a proxy, start the gateway with --explicit-proxy";

// The head that is sent, as the proxy that forwards it takes it.
void make_absolute(Outgoing& outgoing, base::Bytes received, const flow::UpstreamProxy& proxy,
                   const flow::ProxyTarget& target) {
  const auto as_it_came = received.subspan(outgoing.head_offset, outgoing.head_size - outgoing.head_offset);
  const std::string_view head = outgoing.edited ? std::string_view(*outgoing.edited) : base::as_text(as_it_came);
  outgoing.edited = flow::forwarded_by_proxy(head, proxy, target);
}

}  // namespace

Session::Session(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read, Entrance entrance)
    : context_(context),
      client_(std::move(client)),
      entrance_(entrance),
      flow_(context, client_, std::nullopt, entrance == Entrance::kRedirected) {
  received_.account_to(stream().buffers());
  received_.append(read);
  enter_registry();
}

Session::Session(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read, OriginSourceFor secure)
    : Session(context, std::move(client), std::move(read), Entrance::kExplicitProxy) {
  secure_ = secure;
}

Session::Session(flow::Context& context, InspectedClient client, OriginSource& origins,
                 std::optional<OriginConnection> first)
    : context_(context),
      client_(std::move(client.connection)),
      entrance_(Entrance::kInspected),
      origins_(&origins),
      flow_(context, client_, std::move(client.name), true) {
  received_.account_to(stream().buffers());
  if (first) {
    flow_.connected_to(first->leads_to);
    upstream_.connected(std::move(first->stream), origin_key());
    upstream_policy_ = context_.policy_identity();
  }
  enter_registry();
}

void Session::enter_registry() {
  const auto allowed = [this](const policy::Policy& policy) { return flow_.still_allowed(policy); };
  const auto close = [this] {
    revoked_ = true;
    stream().reset();
    if (upstream_.is_connected()) upstream_.stream().reset();
  };
  entry_ = context_.registry.add(allowed, close);
}

flow::ClientConnection Session::take_client() {
  entry_ = {};  // it would close what is no longer here
  return std::move(client_);
}

flow::ReadAhead Session::take_received() {
  const auto bytes = received_.bytes();
  return {bytes.begin(), bytes.end()};
}

// Nothing: more has to come.
std::expected<std::optional<sniffer::RequestHead>, Fault> Session::head_in(std::size_t& parsed_size) const {
  if (received_.empty() || !sniffer::worth_parsing_again(received_.bytes(), parsed_size)) return std::nullopt;
  auto parsed = sniffer::parse_request_head(received_.bytes());
  if (parsed.complete()) return std::move(parsed).value();
  parsed_size = received_.size();
  if (!parsed.malformed()) return std::nullopt;
  const auto fault = parsed.fault();
  const Reason reason = fault.too_large ? Reason::kTooLarge : Reason::kMalformed;
  return std::unexpected(Fault{fault.http_status, reason, fault.reason});
}

asio::awaitable<std::expected<sniffer::RequestHead, Fault>> Session::read_head() {
  std::size_t parsed_size = 0;
  const bool first = std::exchange(first_, false);  // its time began when the connection did
  if (!first) stream().expires_after(received_.empty() ? kIdleKeepAlive : flow::kFirstBytesTimeout);
  awaited_ = !first && received_.empty() && stream().wait_before_reading();  // the last answer has been written since
  for (;;) {
    stream().set_resting(!first && received_.empty());
    auto head = head_in(parsed_size);
    if (!head) co_return std::unexpected(head.error());
    if (*head) co_return std::move(**head);
    const bool idle = received_.empty();
    if (!received_.may_grow()) co_return std::unexpected(Fault{503, Reason::kTooLarge, flow::kNoRoom});
    const auto count = co_await stream().read_some(received_.space(kSmallRead));
    if (count && *count > 0) {
      received_.received(*count);
      if (idle && !first) stream().expires_after(flow::kFirstBytesTimeout);
      continue;
    }
    if (idle) co_return std::unexpected(Fault{0, Reason::kMalformed, {}});
    const bool late = stream().timed_out();
    if (late) co_return std::unexpected(Fault{408, Reason::kTimedOut, "the request head took too long"});
    co_return std::unexpected(Fault{0, Reason::kMalformed, "closed before the request head was whole"});
  }
}

asio::awaitable<std::optional<ConnectAsked>> Session::run() {
  for (;;) {
    auto head = co_await read_head();
    if (!head && head.error().text.empty()) {  // an orderly end, or nothing within the time
      stream().shutdown_send();
      stream().close();
      co_return std::nullopt;
    }
    if (!head) {
      request_ = {};
      flow_.begin_unread();
      co_await answer_fault(head.error());
      co_return std::nullopt;
    }
    const bool connect = entrance_ == Entrance::kExplicitProxy && head->method == "CONNECT";
    if (connect) co_return co_await connect_asked(*head);
    const Next next = co_await serve(*head);
    if (next == Next::kOver) co_return std::nullopt;
    flow_.await_next();
    received_.shrink();
    // Requests that are all there and answered from here never wait: others have their turn.
    if (++served_ % kRequestsInATurn == 0) co_await asio::post(context_.io, asio::use_awaitable);
  }
}

asio::awaitable<std::optional<ConnectAsked>> Session::connect_asked(const sniffer::RequestHead& head) {
  if (head.framing != sniffer::BodyFraming::kNone) {  // RFC 9110 section 9.3.6: body or tunnel, who could tell?
    begin(head);
    const Fault fault{400, Reason::kMalformed, "a CONNECT with a body"};
    co_await answer_fault(fault);
    co_return std::nullopt;
  }
  ConnectAsked asked{
      {{}, head.host, head.host_address, head.port}, head.http11, wants_json(head) ? BodyForm::kJson : BodyForm::kText};
  received_.consume(head.size);
  co_return asked;
}

void Session::begin(const sniffer::RequestHead& head) {
  request_ = {.method = std::string(head.method),
              .target = sniffer::origin_form(head),
              .host = head.host ? head.host->text() : "",
              .http11 = head.http11,
              .keep_alive = head.keep_alive,
              .may_repeat = sniffer::http1::is_idempotent(head.method),
              .form = wants_json(head) ? BodyForm::kJson : BodyForm::kText};
  secure_url_ = head.secure && !flow_.sni();
  if (head.upgrade == sniffer::Upgrade::kWebSocket) request_.websocket = websocket_offer(head);
  flow_.begin({.host = head.host,
               .host_address = head.host_address,
               .host_text = head.authority_text,
               .port = head.port.value_or(head.secure ? base::kHttpsPort : flow_.default_port()),
               .secure = secure_url_,
               .method = request_.method,
               .target = request_.target,
               .overrides = policy::override_headers(head.fields, head.method),
               .form = {.body = request_.form}});
}

// What no policy can allow.
std::optional<Fault> Session::unfit(const sniffer::RequestHead& head) const {
  const auto fault = [](int status, std::string_view text) { return Fault{status, Reason::kMalformed, text}; };
  const bool connect = sniffer::http1::same_ignoring_case(head.method, "connect");
  if (connect && entrance_ == Entrance::kRedirected) return fault(405, kNoProxyHere);
  if (connect || sniffer::http1::is_one_of(head.method, {"trace", "track"}))
    return fault(405, "this method is not forwarded");
  if (entrance_ != Entrance::kExplicitProxy) {
    if (head.host_differs) return fault(400, "the request target and Host name different hosts");
    if (head.secure && !flow_.sni()) return fault(400, "an https URL on port 80");
    const bool other_port = flow_.port() != flow_.default_port() && !flow_.leads_to_denied_port();
    if (other_port) return fault(400, "Host names another port than the connection's");
    const bool absolute = head.form == sniffer::TargetForm::kAbsolute;
    if (flow_.sni() && absolute && !head.secure) return fault(400, "a URL of http inside TLS");
    return std::nullopt;
  }
  return unfit_for_the_proxy(head);
}

std::optional<Fault> Session::unfit_for_the_proxy(const sniffer::RequestHead& head) const {
  const auto fault = [](std::string_view text) { return Fault{400, Reason::kMalformed, text}; };
  if (meant_for_a_server(head) && (!head.host || is_own_name(head.host))) return fault(kAbsoluteUrlNeeded);
  if (!secure_url_ || is_own_name(head.host)) return std::nullopt;
  if (flow_.port() != base::kHttpsPort) return fault("an https URL with another port than 443: use CONNECT");
  if (secure_ == nullptr || !context_.inspection) return fault("an https URL, and this gateway has no CA: use CONNECT");
  return std::nullopt;
}

// At the proxy's door without saying so: it comes from whoever was led here by a denied name's address, to the port
// that the proxy happens to have, and is owed the refusal. Never forwarded, whatever the policy says.
bool Session::meant_for_a_server(const sniffer::RequestHead& head) const {
  return entrance_ == Entrance::kExplicitProxy && head.form != sniffer::TargetForm::kAbsolute;
}

// What an allowed request cannot be forwarded for.
std::optional<Fault> Session::not_to_be_sent(const sniffer::RequestHead& head) const {
  const bool lacks_chunks = sent_as_chunks(head, flow_.decision()) && !head.http11;
  if (lacks_chunks) return Fault{400, Reason::kMalformed, kLacksChunks};
  if (meant_for_a_server(head)) return Fault{400, Reason::kMalformed, kAbsoluteUrlNeeded};
  return std::nullopt;
}

asio::awaitable<Session::Next> Session::serve(const sniffer::RequestHead& head) {
  stream().expires_after(kBodyIdle);  // dialling has its own time
  begin(head);
  auto fault = unfit(head);
  if (!fault) {
    auto page = flow_.decide();
    if (page && flow_.may_be_held()) {
      std::function<bool()> has_left = [this] { return flow::has_left(stream()); };
      page = co_await ask_operator(context_, flow_, std::move(*page), std::move(has_left));
    }
    if (!page) fault = not_to_be_sent(head);
    if (!page && !fault) page = flow_.inject(head.fields);
    if (page) co_return co_await answer(head, std::move(*page));
  }
  if (!fault) co_return co_await forward(head);
  co_await answer_fault(*fault);
  co_return Next::kOver;
}

// From here, without an origin. The body of such a request is not read: the connection closes instead.
asio::awaitable<Session::Next> Session::answer(const sniffer::RequestHead& head, Page page) {
  const bool stays = head.framing == sniffer::BodyFraming::kNone && head.keep_alive && head.http11 && !page.closes;
  std::string out = render(page, request_.is_head(), !stays);
  const auto rest = request_.is_head() ? nullptr : std::move(page.rest);
  const net::HeldBytes held(stream().buffers(), out.size() + (rest ? std::min(rest->size(), kMostOfAPage) : 0));
  std::string().swap(page.body);  // a client that does not read holds its answer once, not twice
  flow_.finish_page(out.size() + (rest ? rest->size() : 0));
  if (stays) received_.consume(head.size);
  if (rest) {
    const auto begun = co_await stream().write_all(base::as_bytes(out));
    if (!begun) co_return Next::kOver;
    std::string().swap(out);
  }
  if (!stays && !rest) {
    co_await flow::send_last_word(stream(), std::move(out));
    co_return Next::kOver;
  }
  const auto written = co_await stream().write_all(base::as_bytes(rest ? *rest : out));
  if (written && !stays) co_await flow::send_last_word(stream(), std::string());
  co_return written&& stays ? Next::kGoOn : Next::kOver;
}

// One that was dialled and, inside TLS, verified under another policy is not used under this one.
bool Session::can_reuse_upstream() {
  const bool same_policy = context_.is_in_force(upstream_policy_);
  // WebSocket needs a connection to the origin itself.
  const bool fits = upstream_.forwarder() == nullptr || !request_.websocket;
  return fits && same_policy && upstream_.ready_for(origin_key(), awaited_);
}

std::string Session::origin_key() const {
  const std::string host = flow_.host() ? flow_.host()->text() : flow_.address() ? flow_.address()->to_string() : "";
  return (secure_url_ || flow_.sni() ? "https " : "http ") + host + " " + std::to_string(flow_.port());
}

asio::awaitable<std::expected<flow::Dialled, flow::DialFailure>> Session::dialled_by(OriginSource& origins) {
  std::vector<HttpVersion> offered{HttpVersion::kHttp1};
  auto connection = co_await origins.connect(std::move(offered));
  if (!connection) co_return std::unexpected(std::move(connection.error()));
  flow::Dialled origin;
  origin.stream = std::move(connection->stream);
  origin.leads_to = connection->leads_to;
  co_return std::move(origin);
}

asio::awaitable<std::expected<flow::Dialled, flow::DialFailure>> Session::dialled() {
  if (origins_ != nullptr) co_return co_await dialled_by(*origins_);
  if (secure_url_) {
    const auto origins = secure_(context_, client_, *flow_.host());
    co_return co_await dialled_by(*origins);
  }
  std::expected<flow::Dialled, flow::DialFailure> connection;
  if (flow_.host()) {
    auto request = flow_.dial_request();
    request.in_clear = !request_.websocket;
    connection = co_await context_.connector.dial(std::move(request));
  } else {
    const base::Endpoint to{flow_.address().value_or(base::IpAddress{}), flow_.port()};
    const auto form = request_.websocket ? flow::Carries::kAnything : flow::Carries::kHttpInClear;
    connection = co_await context_.connector.dial_endpoint(flow_.decision(), std::nullopt, to, flow_.client(), form);
  }
  if (connection) connection->stream->account_to(client_.stream->buffers());
  co_return std::move(connection);
}

asio::awaitable<std::optional<flow::DialFailure>> Session::dial() {
  upstream_.close();
  upstream_policy_ = context_.policy_identity();
  auto origin = co_await dialled();
  if (!origin) co_return std::move(origin.error());
  flow_.connected_to(origin->leads_to);
  upstream_.connected(std::move(origin->stream), origin_key(), std::move(origin->forwarder));
  co_return std::nullopt;
}

Outgoing Session::outgoing_of(const sniffer::RequestHead& head) const {
  const auto& decision = flow_.decision();
  Outgoing outgoing{.head_offset = head.offset,
                    .head_size = head.size,
                    .edited = sent_request(head, decision, flow_.injected()),
                    .body = BodyTracker(head.framing, head.content_length, sniffer::Sender::kClient)};
  outgoing.body.refuse_trailers(decision.transforms);
  outgoing.body.refuse_overrides(decision.by_method, decision.by_path);
  if (sent_as_chunks(head, decision)) outgoing.body.send_chunked();
  const auto came = received_.bytes().subspan(head.size);
  const auto piece = outgoing.body.take(came);
  outgoing.body_size = piece.taken;
  const bool as_it_came = piece.forwarded.size() == piece.taken && piece.forwarded.data() == came.data();
  if (piece.taken > 0 && !as_it_came) outgoing.edited_body = base::as_text(piece.forwarded);
  outgoing.count_edited(client_.stream->buffers());
  return outgoing;
}

asio::awaitable<Session::Next> Session::forward(const sniffer::RequestHead& head) {
  for (;;) {
    Outgoing outgoing = outgoing_of(head);
    if (outgoing.body.malformed()) {
      const Fault fault{400, Reason::kMalformed, outgoing.body.fault()};
      co_await answer_fault(fault);
      co_return Next::kOver;
    }
    const bool reused = can_reuse_upstream();
    std::optional<flow::DialFailure> failure;
    if (!reused) failure = co_await dial();
    if (!stream().is_open()) {
      flow_.finish({.detail = "ended: the gateway stops", .revoked = revoked_});
      co_return Next::kOver;
    }
    if (failure) {
      const bool stays = policy::is_refused_address(failure->reason);  // no origin was asked
      Page page = flow_.dial_failed(*failure);
      if (stays) co_return co_await answer(head, std::move(page));
      co_await answer_last(std::move(page));
      co_return Next::kOver;
    }
    if (const auto* proxy = upstream_.forwarder(); proxy != nullptr) {
      const flow::ProxyTarget target{flow_.host(), flow_.address().value_or(base::IpAddress{}), flow_.port()};
      make_absolute(outgoing, received_.bytes(), *proxy, target);
      outgoing.count_edited(stream().buffers());
    }
    auto result =
        co_await exchange(context_.wheel, stream(), received_, upstream_, request_, std::move(outgoing), reused);
    if (result.then == Then::kRepeat) {
      upstream_.close();
      continue;
    }
    result.outcome.revoked = revoked_;
    flow_.finish(std::move(result.outcome));
    if (result.then == Then::kNextRequest) co_return Next::kGoOn;
    if (result.then == Then::kSwitch) co_return co_await switch_protocols();
    if (result.then == Then::kClose) co_await flow::send_last_word(stream(), std::string());
    // TLS that ends without close_notify says itself that something is missing, and loses nothing on its way.
    if (result.then == Then::kReset) flow_.sni() ? stream().close() : stream().reset();
    co_return Next::kOver;
  }
}

// WebSocket: bytes both ways from here on. What either side sent with its head goes first.
asio::awaitable<Session::Next> Session::switch_protocols() {
  const auto early_out = co_await upstream_.stream().write_all(received_.bytes());
  const auto early_in = co_await stream().write_all(upstream_.received().bytes());
  if (!early_out || !early_in) {
    stream().reset();
    upstream_.close();
    co_return Next::kOver;
  }
  context_.counters.bytes_in += received_.size();
  context_.counters.bytes_out += upstream_.received().size();
  received_.consume(received_.size());
  received_.release();
  upstream_.received().consume(upstream_.received().size());
  upstream_.received().release();
  const flow::RelayTotals totals = co_await flow::relay(stream(), upstream_.stream(), context_.pipes);
  context_.counters.bytes_in += totals.from_client;
  context_.counters.bytes_out += totals.to_client;
  co_return Next::kOver;
}

asio::awaitable<void> Session::answer_fault(Fault fault) {
  Page page = flow_.fault(fault);
  if (fault.status != 0) co_return co_await answer_last(std::move(page));
  flow_.finish_page(0);
  stream().close();
}

asio::awaitable<void> Session::answer_last(Page page) {
  std::string out = render(page, request_.is_head(), true);
  flow_.finish_page(out.size());
  co_await flow::send_last_word(stream(), std::move(out));
}

}  // namespace soleroute::gateway::http::h1
