// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h1/session.h"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/web_ports.h"
#include "gateway/audit/probe.h"
#include "gateway/flow/refusal.h"
#include "gateway/flow/relay.h"
#include "gateway/http/h1/forwarded_head.h"
#include "gateway/http/h1/io.h"
#include "gateway/http/internal_site.h"
#include "gateway/http/page.h"
#include "policy/explanation.h"
#include "policy/observe.h"
#include "sniffer/http1_text.h"

namespace soleroute::gateway::http::h1 {
namespace {

namespace asio = boost::asio;
using policy::Reason;
using Then = ExchangeResult::Then;

constexpr std::uint32_t kRequestsInATurn = 16;
constexpr std::size_t kMostOfAPage = std::size_t{256} << 10;  // that is one client's: the rest of it is shared
constexpr std::string_view kLacksChunks = "a body on this method over HTTP/1.0, under a rule about requests";
constexpr std::string_view kAbsoluteUrlNeeded = "a proxy is asked with an absolute http:// URL";

}  // namespace

Session::Session(flow::Context& context, flow::ClientConnection client, flow::ReadAhead read, Entrance entrance)
    : context_(context), client_(std::move(client)), entrance_(entrance) {
  received_.account_to(stream().buffers());
  received_.append(read);
  enter_registry();
}

Session::Session(flow::Context& context, InspectedClient client, OriginSource& origins,
                 std::optional<OriginConnection> first)
    : context_(context),
      client_(std::move(client.connection)),
      entrance_(Entrance::kInspected),
      sni_(std::move(client.name)),
      origins_(&origins) {
  host_ = sni_;
  port_ = default_port();
  received_.account_to(stream().buffers());
  if (first) {
    upstream_.connected(std::move(first->stream), *sni_, port_);
    upstream_policy_ = context_.policy;
  }
  enter_registry();
}

void Session::enter_registry() {
  const auto allowed = [this](const policy::Policy& policy) { return still_allowed(policy); };
  const auto close = [this] {
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

// A request under way is asked about as it is; a connection between requests only for its host.
bool Session::still_allowed(const policy::Policy& policy) const {
  if (!host_ || is_own_name(host_)) return true;
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kHttp;
  facts.client = client_.peer.address;
  facts.sni = sni_;
  facts.host = host_;
  facts.port = port_;
  facts.scheme = scheme();
  if (!request_.method.empty()) {
    facts.method = request_.method;
    facts.target = request_.target;
    facts.overrides = request_.overrides;
  }
  return policy::may_pass(policy, policy.decide(facts));
}

asio::awaitable<std::expected<sniffer::RequestHead, Session::Fault>> Session::read_head() {
  std::size_t parsed_size = 0;
  const bool first = std::exchange(first_, false);  // its time began when the connection did
  if (!first) stream().expires_after(received_.empty() ? kIdleKeepAlive : flow::kFirstBytesTimeout);
  awaited_ = !first && received_.empty() && stream().wait_before_reading();  // the last answer has been written since
  for (;;) {
    stream().set_resting(!first && received_.empty());
    if (!received_.empty() && sniffer::worth_parsing_again(received_.bytes(), parsed_size)) {
      auto parsed = sniffer::parse_request_head(received_.bytes());
      if (parsed.complete()) co_return std::move(parsed).value();
      if (parsed.malformed()) {
        const auto fault = parsed.fault();
        const Reason reason = fault.too_large ? Reason::kTooLarge : Reason::kMalformed;
        co_return std::unexpected(Fault{fault.http_status, reason, fault.reason});
      }
      parsed_size = received_.size();
    }
    const bool idle = received_.empty();
    if (!received_.may_grow()) co_return std::unexpected(Fault{503, Reason::kTooLarge, flow::kNoRoom});
    const auto count = co_await stream().read_some(received_.space(kSmallRead));
    if (count && *count > 0) {
      received_.received(*count);
      if (idle && !first) stream().expires_after(flow::kFirstBytesTimeout);
      continue;
    }
    if (idle) co_return std::unexpected(Fault{});
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
      begin_record({});
      co_await answer_fault(head.error());
      co_return std::nullopt;
    }
    if (entrance_ == Entrance::kExplicitProxy && head->method == "CONNECT") {
      if (head->framing != sniffer::BodyFraming::kNone) {  // RFC 9110 section 9.3.6: body or tunnel, who could tell?
        remember(*head);
        begin_record(*head);
        const Fault fault{400, Reason::kMalformed, "a CONNECT with a body"};
        co_await answer_fault(fault);
        co_return std::nullopt;
      }
      ConnectAsked asked{{{}, head->host, head->host_address, head->port}, head->http11, wants_json(*head)};
      received_.consume(head->size);
      co_return asked;
    }
    const Next next = co_await serve(*head);
    if (next == Next::kOver) co_return std::nullopt;
    request_.method.clear();
    received_.shrink();
    // Requests that are all there and answered from here never wait: others have their turn.
    if (++served_ % kRequestsInATurn == 0) co_await asio::post(context_.io, asio::use_awaitable);
  }
}

void Session::remember(const sniffer::RequestHead& head) {
  request_ = {.method = std::string(head.method),
              .target = sniffer::origin_form(head),
              .host = head.host ? head.host->text() : "",
              .overrides = policy::override_headers(head.fields, head.method),
              .http11 = head.http11,
              .keep_alive = head.keep_alive,
              .may_repeat = sniffer::http1::is_idempotent(head.method)};
  if (head.upgrade == sniffer::Upgrade::kWebSocket) request_.websocket = websocket_offer(head);
  host_ = head.host;
  port_ = head.port.value_or(default_port());
}

// What no policy can allow.
std::optional<Session::Fault> Session::unfit(const sniffer::RequestHead& head) const {
  const auto fault = [](int status, std::string_view text) { return Fault{status, Reason::kMalformed, text}; };
  if (sniffer::http1::is_one_of(head.method, {"trace", "track", "connect"}))
    return fault(405, "this method is not forwarded");
  if (entrance_ != Entrance::kExplicitProxy) {
    if (port_ != default_port()) return fault(400, "Host names another port than the connection's");
    if (inspected() && head.form == sniffer::TargetForm::kAbsolute) return fault(400, "a URL of http inside TLS");
    return std::nullopt;
  }
  if (meant_for_a_server(head) && (!head.host || is_own_name(head.host))) return fault(400, kAbsoluteUrlNeeded);
  return std::nullopt;
}

// At the proxy's door without saying so: it comes from whoever was led here by a denied name's address, to the port
// that the proxy happens to have, and is owed the refusal. Never forwarded, whatever the policy says.
bool Session::meant_for_a_server(const sniffer::RequestHead& head) const {
  return entrance_ == Entrance::kExplicitProxy && head.form != sniffer::TargetForm::kAbsolute;
}

policy::FlowFacts Session::facts_of(const sniffer::RequestHead& head, const std::string& target) const {
  policy::FlowFacts facts;
  facts.phase = policy::Phase::kHttp;
  facts.client = client_.peer.address;
  // No endpoint leads on from the gateway's own address.
  const bool nowhere = head.host_address && context_.is_own(client_.original_destination.address);
  if (entrance_ != Entrance::kExplicitProxy && !nowhere) facts.original_destination = client_.original_destination;
  facts.sni = sni_;
  facts.host = head.host;
  facts.host_address = head.host_address;
  facts.port = port_;
  facts.scheme = scheme();
  facts.method = head.method;
  facts.target = target;
  facts.overrides = request_.overrides;
  return facts;
}

void Session::begin_record(const sniffer::RequestHead& head) {
  progress_.started = net::Clock::now();
  auto& record = progress_.record;
  record.phase = policy::Phase::kHttp;
  record.client = client_.peer.address;
  record.host = head.host ? std::string_view(head.host->text()) : head.authority_text;
  record.scheme = policy::to_string(scheme());
  record.port = port_;
  record.method = head.method;
  record.path = std::string_view(request_.target).substr(0, request_.target.find('?'));
  const bool redirected = client_.original_destination.address != base::IpAddress{};
  if (entrance_ != Entrance::kExplicitProxy && redirected && record.destination.empty()) {
    record.destination = client_.original_destination.to_string();
  }
  record.observed = false;
  record.detail.clear();
  record.matched_host.clear();
  record.rule.clear();
  record.status.reset();
  record.bytes_in.reset();
  record.bytes_out.reset();
}

asio::awaitable<Session::Next> Session::serve(const sniffer::RequestHead& head) {
  ++context_.counters.http_requests;
  stream().expires_after(kBodyIdle);  // dialling has its own time
  remember(head);
  begin_record(head);
  if (const auto fault = unfit(head)) {
    co_await answer_fault(*fault);
    co_return Next::kOver;
  }
  const auto snapshot = context_.policy;  // the decision borrows from it
  const bool ours = is_own_name(head.host) && base::is_web_port(port_);
  if (ours && (!sni_ || sni_ == head.host)) {
    progress_.record.reason = policy::to_string(Reason::kAllowed);
    progress_.record.detail = "this gateway";
    if (!net::has_room(stream().buffers())) {
      const Fault fault{503, Reason::kTooLarge, flow::kNoRoom};
      co_await answer_fault(fault);
      co_return Next::kOver;
    }
    Page page = own_page(context_, *snapshot, {head.method, request_.target, client_.peer.address, wants_json(head)});
    co_return co_await answer(head, std::move(page), true);
  }
  const auto facts = facts_of(head, request_.target);
  const auto& decision = progress_.decision = snapshot->decide(facts);
  auto& record = progress_.record;
  record.reason = policy::to_string(decision.reason);
  record.matched_host = decision.matched_host;
  record.rule = policy::place_of(decision.rule);
  record.detail = decision.override_header;
  // Allowed or not elsewhere: this connection is not the one for it (RFC 9110 section 15.5.20).
  if (inspected() && decision.reason == Reason::kNameMismatch) record.status = 421;
  // Where nobody is named, observe lets nothing pass either: there is nobody to dial.
  const bool passes = head.host && policy::may_pass(*snapshot, decision);
  if (!passes) co_return co_await refuse(head, *snapshot, facts);
  const bool lacks_chunks = sent_as_chunks(head, decision) && !head.http11;
  if (meant_for_a_server(head) || lacks_chunks) {
    const Fault fault{400, Reason::kMalformed, lacks_chunks ? kLacksChunks : kAbsoluteUrlNeeded};
    co_await answer_fault(fault);
    co_return Next::kOver;
  }
  auto injected = prepare_injection(decision, head.fields, context_.secrets);
  if (!injected) co_return co_await refuse_injection(head, *snapshot, facts, std::move(injected.error()));
  progress_.injected = std::move(*injected);
  const Next next = co_await forward(head, *snapshot, facts);
  progress_.injected.clear();
  co_return next;
}

// Allowed, but the policy sets headers that cannot be set.
asio::awaitable<Session::Next> Session::refuse_injection(const sniffer::RequestHead& head, const policy::Policy& policy,
                                                         const policy::FlowFacts& facts, InjectionFault fault) {
  progress_.decision.action = policy::Action::kDeny;
  progress_.decision.reason = fault.reason;
  progress_.record.reason = policy::to_string(fault.reason);
  progress_.record.status = fault.status;
  progress_.record.detail = std::move(fault.detail);
  return refuse(head, policy, facts);
}

// DESIGN section 10.
asio::awaitable<Session::Next> Session::refuse(const sniffer::RequestHead& head, const policy::Policy& policy,
                                               const policy::FlowFacts& facts) {
  const bool json = wants_json(head);
  Page page{progress_.record.status.value_or(403), policy::to_string(progress_.decision.reason), {}, json};
  page.body = json ? policy::refusal_json(policy, facts, progress_.decision)
                   : policy::refusal_page(policy, facts, progress_.decision);
  if (!json) page.body += kWhereToLook;
  return answer(head, std::move(page), false);
}

// From here, without an origin. The body of such a request is not read: the connection closes instead.
asio::awaitable<Session::Next> Session::answer(const sniffer::RequestHead& head, Page page, bool allowed) {
  const bool stays = head.framing == sniffer::BodyFraming::kNone && head.keep_alive && head.http11;
  progress_.record.status = page.status;
  std::string out = render(page, request_.is_head(), !stays);
  const auto rest = request_.is_head() ? nullptr : std::move(page.rest);
  const net::HeldBytes held(stream().buffers(), out.size() + (rest ? std::min(rest->size(), kMostOfAPage) : 0));
  std::string().swap(page.body);  // a client that does not read holds its answer once, not twice
  progress_.record.bytes_out = out.size() + (rest ? rest->size() : 0);
  log(allowed);
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
  const bool same_policy =
      !upstream_policy_.owner_before(context_.policy) && !context_.policy.owner_before(upstream_policy_);
  return same_policy && upstream_.ready_for(*host_, port_, awaited_);
}

asio::awaitable<std::expected<std::unique_ptr<net::Stream>, flow::DialFailure>> Session::dialled() {
  if (inspected()) {
    std::vector<HttpVersion> offered{HttpVersion::kHttp1};
    auto connection = co_await origins_->connect(std::move(offered));
    if (!connection) co_return std::unexpected(std::move(connection.error()));
    co_return std::move(connection->stream);
  }
  const auto permitted = progress_.decision.permitted_addresses;
  flow::DialRequest request{*host_, port_, {permitted.begin(), permitted.end()}, {}, {}, client_.peer.address};
  if (entrance_ == Entrance::kRedirected) request.preferred = client_.original_destination.address;
  auto connection = co_await context_.connector.dial(std::move(request));
  if (!connection) co_return std::unexpected(std::move(connection.error()));
  connection->stream->account_to(client_.stream->buffers());
  co_return std::move(connection->stream);
}

asio::awaitable<bool> Session::dial() {
  upstream_.close();
  upstream_policy_ = context_.policy;
  auto stream = co_await dialled();
  if (stream) upstream_.connected(std::move(*stream), *host_, port_);
  if (!stream) progress_.failure = std::move(stream.error());
  co_return stream.has_value();
}

// Allowed, but there is nobody to ask. A name that leads to non-public addresses gets the page that says how to list
// them.
asio::awaitable<Session::Next> Session::answer_dial_failure(const sniffer::RequestHead& head,
                                                            const policy::Policy& policy,
                                                            const policy::FlowFacts& facts) {
  ++context_.counters.upstream_failures;
  auto& record = progress_.record;
  const Reason reason = progress_.failure.reason;
  progress_.decision.action = policy::Action::kDeny;
  progress_.decision.reason = reason;
  record.reason = policy::to_string(reason);
  record.detail = progress_.failure.message;
  record.status = reason == Reason::kTimedOut ? 504 : 502;
  if (reason == Reason::kPrivateAddress) co_return co_await refuse(head, policy, facts);
  const Page page = upstream_page(*record.status, record.reason, request_.host, record.detail);
  const std::string out = render(page, request_.is_head(), true);
  record.bytes_out = out.size();
  log(false);
  co_await flow::send_last_word(stream(), out);
  co_return Next::kOver;
}

Outgoing Session::outgoing_of(const sniffer::RequestHead& head) const {
  const auto transforms = progress_.decision.transforms;
  Outgoing outgoing{.head_offset = head.offset,
                    .head_size = head.size,
                    .edited = sent_request(head, progress_.decision, progress_.injected),
                    .body = BodyTracker(head.framing, head.content_length, sniffer::Sender::kClient)};
  outgoing.body.refuse_trailers(transforms);
  outgoing.body.refuse_overrides(progress_.decision.by_method, progress_.decision.by_path);
  if (sent_as_chunks(head, progress_.decision)) outgoing.body.send_chunked();
  const auto came = received_.bytes().subspan(head.size);
  const auto piece = outgoing.body.take(came);
  outgoing.body_size = piece.taken;
  const bool as_it_came = piece.forwarded.size() == piece.taken && piece.forwarded.data() == came.data();
  if (piece.taken > 0 && !as_it_came) outgoing.edited_body = base::as_text(piece.forwarded);
  outgoing.count_edited(client_.stream->buffers());
  return outgoing;
}

asio::awaitable<Session::Next> Session::forward(const sniffer::RequestHead& head, const policy::Policy& policy,
                                                const policy::FlowFacts& facts) {
  for (;;) {
    Outgoing outgoing = outgoing_of(head);
    if (outgoing.body.malformed()) {
      const Fault fault{400, Reason::kMalformed, outgoing.body.fault()};
      co_await answer_fault(fault);
      co_return Next::kOver;
    }
    const bool reused = can_reuse_upstream();
    const bool connected = reused || co_await dial();
    if (!stream().is_open()) co_return Next::kOver;  // a reload has closed it
    if (!connected) co_return co_await answer_dial_failure(head, policy, facts);
    auto result =
        co_await exchange(context_.wheel, stream(), received_, upstream_, request_, std::move(outgoing), reused);
    if (result.then == Then::kRepeat) {
      upstream_.close();
      continue;
    }
    finish(result);
    if (result.then == Then::kNextRequest) co_return Next::kGoOn;
    if (result.then == Then::kSwitch) co_return co_await switch_protocols();
    if (result.then == Then::kClose) co_await flow::send_last_word(stream(), std::string());
    // TLS that ends without close_notify says itself that something is missing, and loses nothing on its way.
    if (result.then == Then::kReset) inspected() ? stream().close() : stream().reset();
    co_return Next::kOver;
  }
}

void Session::finish(ExchangeResult& result) {
  auto& record = progress_.record;
  if (result.status != 0) record.status = result.status;
  record.bytes_in = result.from_client;
  record.bytes_out = result.to_client;
  if (result.failure == Reason::kUpstreamFailed) ++context_.counters.upstream_failures;
  if (result.failure != Reason::kAllowed) record.detail = std::move(result.detail);
  const bool unsound = result.failure == Reason::kMalformed;
  if (unsound) record.reason = policy::to_string(result.failure);
  record.observed = !progress_.decision.allowed();
  if (record.observed && record.detail.empty()) record.detail = policy::kObservedDetail;
  log(progress_.decision.allowed() && !unsound);
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

// Answers, logs and closes. The record has been begun if a head was read.
asio::awaitable<void> Session::answer_fault(Fault fault) {
  auto& record = progress_.record;
  record.reason = policy::to_string(fault.reason);
  record.detail = fault.text;
  if (fault.status != 0) record.status = fault.status;
  log(false);
  if (fault.status == 0) {
    stream().close();
    co_return;
  }
  co_await flow::send_last_word(stream(),
                                render(fault_page(fault.status, record.reason, fault.text), request_.is_head(), true));
}

void Session::log(bool allowed) {
  logged_ = true;
  auto& record = progress_.record;
  record.allowed = allowed;
  const auto elapsed = net::Clock::now() - progress_.started;
  record.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count();
  audit::count_decision(context_.counters, record);
  context_.counters.bytes_in += record.bytes_in.value_or(0);
  context_.counters.bytes_out += record.bytes_out.value_or(0);
  context_.log.decision(record);
}

}  // namespace soleroute::gateway::http::h1
