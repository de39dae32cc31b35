// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h1/exchange.h"

#include <boost/asio/this_coro.hpp>
#include <memory>
#include <utility>

#include "gateway/flow/proxy_tunnel.h"
#include "gateway/flow/refusal.h"
#include "gateway/http/h1/forwarded_head.h"
#include "gateway/http/h1/io.h"
#include "gateway/http/h1/upload.h"
#include "gateway/http/page.h"
#include "gateway/http/proxy_status.h"
#include "sniffer/http1_text.h"

namespace soleroute::gateway::http::h1 {
namespace {

namespace asio = boost::asio;
using Then = ExchangeResult::Then;
using net::Written;
using policy::Reason;
using sniffer::ResponseHead;

constexpr std::chrono::milliseconds kHeadTimeout{60000};  // from its first byte, for what then comes slowly
constexpr std::chrono::milliseconds kAnswerGrace{10000};  // the client's deadline is later, so that it can be told

// The answer's side of an exchange. Members are public to exchange() below; nobody else has one.
class Answer {
 public:
  Answer(net::DeadlineWheel& wheel, net::Stream& client, Upstream& upstream, const Request& request)
      : client_(client),
        upstream_(upstream),
        in_(upstream.received()),
        request_(request),
        held_(client.buffers()),
        watch_(wheel, client, [this] { client_broke_off(); }) {}

  // Until the final answer is delivered, the protocol switched, or something went wrong.
  asio::awaitable<void> receive();
  // Nothing of an answer has been sent: say what went wrong.
  asio::awaitable<void> answer_failure(bool bad_request);
  void fail(Reason reason, std::string why);
  void touch();

  [[nodiscard]] bool failed() const { return result.outcome.failure != Reason::kAllowed; }
  // The connection was dead before it was asked: no byte came, and not for lack of time.
  [[nodiscard]] bool closed_before_response() {
    return failed() && !begun_ && !client_gone && !upstream_.stream().timed_out();
  }

  ExchangeResult result;
  bool uploading = false;
  bool answering = false;  // the final head is on its way to the client
  bool client_gone = false;

 private:
  asio::awaitable<std::optional<ResponseHead>> read_head();
  asio::awaitable<Written> forward_interim(const ResponseHead& head);
  asio::awaitable<void> switch_protocols(const ResponseHead& head);
  asio::awaitable<Written> write_out(base::Bytes left);
  enum class Delivery : std::uint8_t { kGoesOn, kWhole, kFailed };
  asio::awaitable<Delivery> deliver_rest();
  asio::awaitable<Delivery> deliver_bulk();
  asio::awaitable<Delivery> origin_ended();
  [[nodiscard]] bool is_proxys_refusal(const ResponseHead& head) const;
  [[nodiscard]] std::string proxys_refusal(const ResponseHead& head) const;
  base::Bytes write_head(const ResponseHead& head, base::Bytes body);
  void forget_head();
  base::Bytes to_client(base::Bytes bytes);
  std::optional<BodyTracker::Piece> take(base::Bytes bytes);  // nothing: malformed, which is a failure
  void client_broke_off();

  net::Stream& client_;
  Upstream& upstream_;
  ReadBuffer& in_;
  const Request& request_;
  BodyTracker body_;
  std::optional<std::string> edited_;  // the head as it is sent, if not as it came
  net::HeldBytes held_;                // edited_, and the head as it was parsed
  bool begun_ = false;                 // the origin has sent something
  bool stays_ = false;
  bool surplus_ = false;  // bytes after the response: the origin is not to be used again
  ClientWatch watch_;
};

void Answer::touch() {
  const auto limit = uploading ? kBodyIdle : kResponseIdle;
  client_.expires_after(limit + kAnswerGrace);
  upstream_.stream().expires_after(limit);
}

void Answer::client_broke_off() {
  client_gone = true;
  upstream_.close();
}

void Answer::fail(Reason reason, std::string why) {
  if (failed()) return;
  result.outcome.failure = reason;
  result.outcome.detail = std::move(why);
}

asio::awaitable<std::optional<ResponseHead>> Answer::read_head() {
  std::size_t parsed_size = 0;
  bool timed = false;
  for (;;) {
    if (!in_.empty() && sniffer::worth_parsing_again(in_.bytes(), parsed_size)) {
      auto parsed = sniffer::parse_response_head(in_.bytes(), request_.method);
      if (parsed.complete()) co_return std::move(parsed).value();
      if (parsed.malformed()) fail(Reason::kUpstreamFailed, "its answer: " + std::string(parsed.fault().reason));
      if (parsed.malformed()) co_return std::nullopt;
      parsed_size = in_.size();
    }
    if (!in_.may_grow()) {
      fail(Reason::kUpstreamFailed, "its answer: " + std::string(flow::kNoRoom));
      co_return std::nullopt;
    }
    const auto count = co_await upstream_.stream().read_some(in_.space(kSmallRead));
    if (count && *count > 0) {
      in_.received(*count);
      begun_ = true;
      if (!std::exchange(timed, true)) upstream_.stream().expires_after(kHeadTimeout);
      continue;
    }
    const bool late = upstream_.stream().timed_out();
    std::string why = late ? "it did not answer in time" : "it closed the connection before it answered";
    if (!count && !late && !upstream_.stream().is_plain()) why += " (" + count.error().message + ")";
    fail(late ? Reason::kTimedOut : Reason::kUpstreamFailed, why);
    co_return std::nullopt;
  }
}

// What could not be written at once.
base::Bytes Answer::to_client(base::Bytes bytes) {
  result.outcome.to_client += bytes.size();
  if (write_now(client_, bytes) == Written::kBroken) client_gone = true;
  return client_gone ? base::Bytes{} : bytes;
}

asio::awaitable<Written> Answer::write_out(base::Bytes left) {
  if (left.empty() || client_gone) co_return client_gone ? Written::kBroken : Written::kAll;
  const auto written = co_await write_rest(client_, left);
  client_gone = client_gone || written == Written::kBroken;
  co_return written;
}

// The head, and what is forwarded of the body that came with it, in one write. What could not be written stays in in_
// or edited_ until those bytes are consumed.
base::Bytes Answer::write_head(const ResponseHead& head, base::Bytes body) {
  const auto bytes = in_.bytes();
  edited_ = forwarded_response(head, base::as_text(bytes));
  const bool follows = body.empty() || body.data() == bytes.data() + head.size;
  if (!edited_ && !follows) edited_ = base::as_text(bytes.first(head.size));
  if (edited_) edited_->append(base::as_text(body));
  held_.set(head.fields.capacity() * sizeof(sniffer::HeaderField) + (head.plain ? head.plain->capacity() : 0) +
            (edited_ ? edited_->capacity() : 0));
  return to_client(edited_ ? base::as_bytes(*edited_) : bytes.first(head.size + body.size()));
}

// The login is the gateway's matter: a client that was asked for one could not send it.
bool Answer::is_proxys_refusal(const ResponseHead& head) const {
  return head.status == 407 && upstream_.forwarder() != nullptr;
}

std::string Answer::proxys_refusal(const ResponseHead& head) const {
  std::string challenges;
  for (const auto& field : head.fields) {
    if (!sniffer::http1::same_ignoring_case(field.name, "proxy-authenticate")) continue;
    challenges.append(challenges.empty() ? "" : ",").append(field.value);
  }
  return flow::login_fault(*upstream_.forwarder(), challenges);
}

void Answer::forget_head() {
  edited_.reset();
  held_.set(0);
}

asio::awaitable<Written> Answer::forward_interim(const ResponseHead& head) {
  auto forwarded = Written::kAll;
  if (request_.http11) forwarded = co_await write_out(write_head(head, {}));  // 1.0 knows none: RFC 9110 section 15.2
  in_.consume(head.size);
  forget_head();
  co_return forwarded;
}

asio::awaitable<void> Answer::switch_protocols(const ResponseHead& head) {
  if (!request_.websocket || uploading) {
    co_return fail(Reason::kUpstreamFailed, "it switched to a protocol that was not requested");
  }
  const auto fault = websocket_fault(*request_.websocket, head);
  if (!fault.empty()) co_return fail(Reason::kUpstreamFailed, "its WebSocket handshake: " + std::string(fault));
  answering = true;
  result.outcome.status = head.status;
  const auto forwarded = co_await write_out(write_head(head, {}));
  in_.consume(head.size);
  forget_head();
  result.then = forwarded == Written::kAll ? Then::kSwitch : Then::kReset;
}

std::optional<BodyTracker::Piece> Answer::take(base::Bytes bytes) {
  const auto piece = body_.take(bytes);
  if (!body_.malformed()) return piece;
  fail(Reason::kUpstreamFailed, "its answer: " + std::string(body_.fault()));
  return std::nullopt;
}

asio::awaitable<void> Answer::receive() {
  std::optional<ResponseHead> head;
  bool doubtful = false;
  for (int interim = 0;; ++interim) {
    head = co_await read_head();
    if (!head) co_return;
    if (is_proxys_refusal(*head)) co_return fail(Reason::kUpstreamFailed, proxys_refusal(*head));
    if (!head->interim()) break;
    if (head->status == 101) co_return co_await switch_protocols(*head);
    if (interim == kMaxInterimResponses) co_return fail(Reason::kUpstreamFailed, "it sent too many interim responses");
    doubtful = doubtful || (head->plain && !head->keep_alive);
    const auto forwarded = co_await forward_interim(*head);
    if (forwarded != Written::kAll) co_return;
    touch();  // the answer itself may take long
  }
  body_ = BodyTracker(head->framing, head->content_length, sniffer::Sender::kOrigin);
  const auto piece = take(in_.bytes().subspan(head->size));
  if (!piece) co_return;
  // A client of HTTP/1.0 stays only where both sides say so.
  stays_ = !doubtful && head->keep_alive && request_.keep_alive && (request_.http11 || head->keep_alive_named);
  answering = true;
  result.outcome.status = head->status;
  const auto left = write_head(*head, piece->forwarded);
  if (!left.empty() && co_await write_out(left) != Written::kAll) co_return;
  in_.consume(head->size + piece->taken);
  head.reset();  // a body may go on for long
  forget_head();
  in_.shrink();
  body_.sent();
  if (client_gone) co_return;
  const auto delivery = body_.done() ? Delivery::kWhole : co_await deliver_rest();
  if (delivery != Delivery::kWhole) co_return;
  surplus_ = surplus_ || !in_.empty();
  result.then = stays_ && !surplus_ ? Then::kNextRequest : Then::kClose;
}

asio::awaitable<Answer::Delivery> Answer::deliver_rest() {
  Turn turn;
  std::uint64_t before = result.outcome.to_client;
  while (!body_.done()) {
    const std::uint64_t moved = result.outcome.to_client - std::exchange(before, result.outcome.to_client);
    if (turn.over(static_cast<std::size_t>(moved))) co_await let_others();
    touch();
    const auto space = in_.space(kSmallRead);
    const auto count = co_await upstream_.stream().read_some(space);
    const bool late = !count && upstream_.stream().timed_out();
    // An end of TLS that is not announced may be an attacker's: it ends nothing that does not say its own end.
    const bool ended = count ? *count == 0 : !late && !body_.until_close();
    if (ended) co_return co_await origin_ended();
    if (!count) {
      fail(late ? Reason::kTimedOut : Reason::kUpstreamFailed, "its answer ended too early");
      co_return Delivery::kFailed;
    }
    in_.received(*count);
    const auto piece = take(in_.bytes());
    if (!piece) co_return Delivery::kFailed;
    const auto left = to_client(piece->forwarded);
    if (!left.empty()) co_await write_out(left);
    in_.consume(piece->taken);
    body_.sent();
    if (client_gone) co_return Delivery::kFailed;
    if (*count < space.size() || body_.done()) continue;
    const auto delivery = co_await deliver_bulk();
    if (delivery == Delivery::kFailed) co_return delivery;
  }
  co_return Delivery::kWhole;
}

asio::awaitable<Answer::Delivery> Answer::origin_ended() {
  stays_ = false;
  const auto rest = body_.end_of_stream();
  if (!rest) {
    fail(Reason::kUpstreamFailed, "its answer ended too early");
    co_return Delivery::kFailed;
  }
  const auto left = to_client(*rest);
  if (!left.empty()) co_await write_out(left);
  body_.sent();
  co_return client_gone ? Delivery::kFailed : Delivery::kWhole;
}

// While more is there than a small read takes.
asio::awaitable<Answer::Delivery> Answer::deliver_bulk() {
  for (int i = 0; i < kMaxBulkReads && !body_.done(); ++i) {
    const auto buffer = bulk_buffer(client_);
    const auto read = upstream_.stream().try_read_some(buffer);
    if (!read.has_bytes()) co_return Delivery::kGoesOn;  // what it was, the next wait tells
    const auto bytes = buffer.first(read.count());
    const auto piece = take(bytes);
    if (!piece) co_return Delivery::kFailed;
    surplus_ = surplus_ || piece->taken < bytes.size();
    touch();
    result.outcome.to_client += piece->forwarded.size();
    const auto written = co_await write_bulk(client_, piece->forwarded);
    body_.sent();
    client_gone = client_gone || written == Written::kBroken;
    if (client_gone) co_return Delivery::kFailed;
  }
  co_return Delivery::kGoesOn;
}

asio::awaitable<void> Answer::answer_failure(bool bad_request) {
  const Reason reason = result.outcome.failure;
  const int status = bad_request ? 400 : result.outcome.failure == Reason::kTimedOut ? 504 : 502;
  const UpstreamFault fault{reason, response_error(reason), request_.host, result.outcome.detail};
  const Page page = bad_request ? fault_page(status, reason, result.outcome.detail, request_.form)
                                : upstream_page(status, fault, request_.form);
  const std::string out = render(page, request_.is_head(), true);
  const auto written = co_await write_out(to_client(base::as_bytes(out)));
  if (written == Written::kAll) result.outcome.status = status;
  result.then = written == Written::kAll ? Then::kClose : Then::kReset;
}

void take_over(Answer& answer, const Upload& upload) {
  switch (upload.fault()) {
    case Upload::Fault::kNone:
      return;
    case Upload::Fault::kMalformed:
      answer.result.outcome.failure = Reason::kMalformed;
      answer.result.outcome.detail = upload.malformed_reason();
      return;
    case Upload::Fault::kClientGone:
    case Upload::Fault::kTimedOut:
      answer.client_gone = true;
      answer.result.outcome.failure =
          upload.fault() == Upload::Fault::kTimedOut ? Reason::kTimedOut : Reason::kMalformed;
      answer.result.outcome.detail = "the request body was not finished";
      return;
  }
}

// The rest of the exchange when the body was not there at once.
asio::awaitable<void> answer_beside(Answer& answer, Upload& upload) {
  upload.start(co_await asio::this_coro::executor);
  co_await answer.receive();
  take_over(answer, upload);
  const bool bad = upload.fault() == Upload::Fault::kMalformed;
  if (answer.failed() && !answer.answering && !answer.client_gone) co_await answer.answer_failure(bad);
  co_await upload.abandon();
  if (!upload.delivered() && answer.result.then == Then::kNextRequest) answer.result.then = Then::kClose;
  answer.result.outcome.from_client += upload.bytes();
}

}  // namespace

asio::awaitable<ExchangeResult> exchange(net::DeadlineWheel& wheel, net::Stream& client, ReadBuffer& received,
                                         Upstream& upstream, const Request& request, Outgoing outgoing, bool reused) {
  Answer answer(wheel, client, upstream, request);
  answer.touch();
  const std::size_t from_client = outgoing.head_size + outgoing.body_size;
  answer.result.outcome.from_client = from_client - outgoing.head_offset;
  auto bytes = received.bytes().subspan(outgoing.head_offset, answer.result.outcome.from_client);
  if (outgoing.edited || outgoing.edited_body) {
    const auto body = base::as_text(received.bytes().subspan(outgoing.head_size, outgoing.body_size));
    if (!outgoing.edited) outgoing.edited = base::as_text(bytes.first(bytes.size() - outgoing.body_size));
    *outgoing.edited += outgoing.edited_body ? std::string_view(*outgoing.edited_body) : body;
    bytes = base::as_bytes(*outgoing.edited);
  }
  // A failure to send is no failure yet: an origin may have answered and closed.
  auto sent = write_now(upstream.stream(), bytes);
  if (sent == Written::kPart) sent = co_await write_rest(upstream.stream(), bytes);
  outgoing.forget_edited();
  if (sent == Written::kAll) upstream.expect_answer();
  if (outgoing.body.done()) {
    co_await answer.receive();
    if (answer.closed_before_response() && reused && request.may_repeat) {
      answer.result.then = Then::kRepeat;
      co_return std::move(answer.result);
    }
    received.consume(from_client);
    if (answer.failed() && !answer.answering && !answer.client_gone) co_await answer.answer_failure(false);
  } else {
    received.consume(from_client);
    const auto progress = [&answer](Upload::Progress state) {
      answer.uploading = state != Upload::Progress::kEnded;
      answer.touch();
    };
    // Not a local: it would weigh on every exchange's frame.
    const auto upload =
        std::make_unique<Upload>(client, received, upstream.stream(), std::move(outgoing.body), progress);
    if (sent == Written::kBroken) upload->origin_is_deaf();
    co_await answer_beside(answer, *upload);
  }
  if (answer.client_gone) answer.result.then = Then::kReset;
  const bool goes_on = answer.result.then == Then::kNextRequest || answer.result.then == Then::kSwitch;
  if (!goes_on) upstream.close();
  if (answer.result.then == Then::kNextRequest) upstream.rest();
  upstream.received().shrink();
  co_return std::move(answer.result);
}

}  // namespace soleroute::gateway::http::h1
