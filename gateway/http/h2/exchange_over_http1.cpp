// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h2/exchange_over_http1.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <optional>
#include <utility>

#include "gateway/flow/refusal.h"
#include "gateway/http/h1/exchange.h"
#include "gateway/http/h1/io.h"
#include "gateway/http/h2/response.h"
#include "gateway/http/h2/steps.h"
#include "gateway/http/h2/stream_waiter.h"
#include "sniffer/http1_chunked.h"

namespace soleroute::gateway::http::h2 {
namespace {

namespace asio = boost::asio;
using net::Written;
using policy::Reason;
using sniffer::BodyFraming;

constexpr std::size_t kAnswerReadSize = std::size_t{16} * 1024;
constexpr std::size_t kMaxHeldAnswer = std::size_t{256} * 1024;  // of an answer that the client does not take

Http1Body body_of(const http2::Stream& client, const Request& request) {
  const auto& upload = *client.received();
  if (upload.at_end() && upload.total() == 0 && upload.trailers().empty()) return Http1Body::kNone;
  return http2::find(request.fields, "content-length") != nullptr ? Http1Body::kLength : Http1Body::kChunked;
}

// Hexadecimal, as a chunk's size.
std::string chunk_line(std::size_t size) {
  std::string digits;
  for (; size > 0; size /= 16) digits.insert(digits.begin(), "0123456789abcdef"[size % 16]);
  return digits + "\r\n";
}

// Carries the body of a request to an origin of HTTP/1, beside the answer.
class Http1Sender {
 public:
  Http1Sender(asio::any_io_executor executor, net::DeadlineWheel& wheel, http2::Body& body, net::Stream& origin,
              Http1Body coding)
      : executor_(std::move(executor)), waiter_(executor_, wheel), body_(body), origin_(origin), coding_(coding) {}

  void start() {
    running_ = true;
    body_.on_change = [this] { waiter_.set(); };
    auto task = run();
    asio::co_spawn(executor_, std::move(task), [this](const std::exception_ptr&) {
      running_ = false;
      waiter_.set();
    });
  }
  // Whoever calls has closed the origin's stream, or all is delivered.
  asio::awaitable<void> stop() {
    stopped_ = true;
    waiter_.set();
    while (running_) co_await waiter_.wait();
    body_.on_change = nullptr;
  }
  [[nodiscard]] bool delivered() const { return delivered_; }
  [[nodiscard]] bool stood_still() const { return stood_still_; }

 private:
  asio::awaitable<void> run();
  asio::awaitable<Written> send(std::string bytes);  // kBroken, too, once this is stopped
  std::string trailer_section() const;

  asio::any_io_executor executor_;
  StreamWaiter waiter_;
  http2::Body& body_;
  net::Stream& origin_;
  Http1Body coding_;
  bool running_ = false;
  bool stopped_ = false;
  bool delivered_ = false;
  bool stood_still_ = false;
};

asio::awaitable<Written> Http1Sender::send(std::string bytes) {
  const net::HeldBytes held(origin_.buffers(), bytes.capacity());
  const auto written = co_await origin_.write_all(base::as_bytes(bytes));
  co_return written && !stopped_ ? Written::kAll : Written::kBroken;
}

std::string Http1Sender::trailer_section() const {
  std::string out = "0\r\n";
  for (const auto& field : body_.trailers()) {
    if (sniffer::is_forbidden_trailer(field.name)) continue;
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  return out + "\r\n";
}

asio::awaitable<void> Http1Sender::run() {
  while (!body_.at_end() && !stopped_) {
    if (body_.aborted()) {
      origin_.close();
      co_return;
    }
    if (body_.size() == 0) {
      waiter_.expires_after(h1::kBodyIdle);
      co_await waiter_.wait();
      stood_still_ = waiter_.timed_out();
      if (!stood_still_) continue;
      origin_.close();
      co_return;
    }
    const auto bytes = body_.bytes().first(std::min(body_.bytes().size(), h1::kBulkRead));
    std::string out = coding_ == Http1Body::kChunked ? chunk_line(bytes.size()) : std::string();
    out.append(base::as_text(bytes));
    if (coding_ == Http1Body::kChunked) out += "\r\n";
    const std::size_t count = bytes.size();
    const auto sent = co_await send(std::move(out));
    if (sent != Written::kAll) co_return;  // the origin has heard enough; it may still be answering
    body_.consume(count);
  }
  if (stopped_) co_return;
  const auto sent = coding_ == Http1Body::kChunked ? co_await send(trailer_section()) : Written::kAll;
  delivered_ = sent == Written::kAll;
}

// The answer's side.
class Http1Receiver {
 public:
  Http1Receiver(net::DeadlineWheel& wheel, const asio::any_io_executor& executor, http2::Stream& client,
                net::Stream& origin, const Request& request, AnswerBudget& budget)
      : waiter_(executor, wheel), client_(client), origin_(origin), request_(request), budget_(budget) {
    in_.account_to(origin.buffers());
    answer_->account_to(origin.buffers());
    content_.data = [this](base::Bytes bytes) { hold(bytes); };
    content_.trailer = [this](const sniffer::HeaderField& field) { trailers_.push_back(lower_case(field)); };
    answer_->on_consumed = [this](std::size_t count) {
      budget_.held -= count;
      waiter_.set();
    };
    client_.on_change = [this] {
      if (client_.closed()) origin_.close();
      waiter_.set();
    };
  }
  Http1Receiver(const Http1Receiver&) = delete;
  Http1Receiver& operator=(const Http1Receiver&) = delete;
  ~Http1Receiver() {
    answer_->on_consumed = nullptr;
    budget_.held -= answer_->size();
    client_.on_change = nullptr;
  }

  asio::awaitable<void> receive();
  void fail(Reason reason, std::string why);
  // The connection was dead before it was asked: no byte came, and not for lack of time.
  [[nodiscard]] bool closed_before_response() const {
    return result.outcome.failure == Reason::kUpstreamFailed && !begun_;
  }

  StreamResult result;

 private:
  asio::awaitable<std::optional<sniffer::ResponseHead>> read_head();
  asio::awaitable<Read> read_more(std::size_t at_least);
  asio::awaitable<Message> deliver(BodyFraming framing, std::uint64_t length);
  asio::awaitable<Room> make_room();
  void hold(base::Bytes bytes);
  [[nodiscard]] bool is_full() const;
  Syntax accept(BodyFraming framing, std::uint64_t& left);

  StreamWaiter waiter_;
  http2::Stream& client_;
  net::Stream& origin_;
  const Request& request_;
  AnswerBudget& budget_;
  h1::ReadBuffer in_;
  bool begun_ = false;  // the origin has sent something
  sniffer::ChunkedScanner chunks_{sniffer::Sender::kOrigin};
  sniffer::ChunkedContent content_;
  http2::Fields trailers_;
  std::shared_ptr<http2::Body> answer_ = std::make_shared<http2::Body>();
};

void Http1Receiver::fail(Reason reason, std::string why) {
  if (result.outcome.failure != Reason::kAllowed || client_.closed()) return;  // it gave up: nobody's failure
  result.outcome.failure = reason;
  result.outcome.detail = std::move(why);
}

asio::awaitable<Read> Http1Receiver::read_more(std::size_t at_least) {
  origin_.expires_after(h1::kResponseIdle);
  const auto count = co_await origin_.read_some(in_.space(at_least));
  if (count && *count > 0) in_.received(*count);
  begun_ = begun_ || !in_.empty();
  if (!count && origin_.timed_out()) fail(Reason::kTimedOut, "it did not answer in time");
  co_return count && *count > 0 ? Read::kMore : Read::kNoMore;
}

asio::awaitable<std::optional<sniffer::ResponseHead>> Http1Receiver::read_head() {
  std::size_t parsed_size = 0;
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
    const auto read = co_await read_more(h1::kSmallRead);
    if (read == Read::kMore) continue;
    fail(Reason::kUpstreamFailed, "it closed the connection before it answered");
    co_return std::nullopt;
  }
}

asio::awaitable<void> Http1Receiver::receive() {
  std::optional<sniffer::ResponseHead> head;
  bool doubtful = false;
  for (int interim = 0;; ++interim) {
    head = co_await read_head();
    if (!head) co_return;
    if (!head->interim()) break;
    if (head->status == 101)
      co_return fail(Reason::kUpstreamFailed, "it switched to a protocol that was not requested");
    if (interim == h1::kMaxInterimResponses)
      co_return fail(Reason::kUpstreamFailed, "it sent too many interim responses");
    doubtful = doubtful || (head->plain && !head->keep_alive);
    client_.send_interim(forwarded_response(*head));
    in_.consume(head->size);
  }
  if (head->coded) co_return fail(Reason::kUpstreamFailed, "its answer: a transfer coding other than chunked");
  const auto framing = head->framing;
  const auto length = framing == BodyFraming::kLength ? head->content_length : 0;
  const bool empty = framing == BodyFraming::kNone || (framing == BodyFraming::kLength && length == 0);
  result.outcome.status = head->status;
  client_.respond(forwarded_response(*head), empty ? nullptr : answer_);
  in_.consume(head->size);
  result.reusable = head->keep_alive && !doubtful;
  head.reset();  // a body may go on for long
  in_.shrink();
  const auto message = empty ? Message::kWhole : co_await deliver(framing, length);
  if (message == Message::kCutShort) {
    fail(Reason::kUpstreamFailed, "its answer ended too early");
    result.reusable = false;
    co_return client_.reset(http2::kInternalError);
  }
  result.outcome.to_client = answer_->total();
  answer_->finish(std::move(trailers_));
  result.reusable = result.reusable && in_.empty();
}

// Moves what is in in_ to the answer.
Syntax Http1Receiver::accept(BodyFraming framing, std::uint64_t& left) {
  if (framing == BodyFraming::kChunked) {
    in_.consume(chunks_.feed(in_.bytes(), &content_));
    if (chunks_.state() != sniffer::ChunkedScanner::State::kMalformed) return Syntax::kSound;
    fail(Reason::kUpstreamFailed, "its answer: " + std::string(chunks_.fault()));
    return Syntax::kMalformed;
  }
  const auto size = framing == BodyFraming::kLength ? std::min<std::uint64_t>(left, in_.size()) : in_.size();
  if (size > 0) hold(in_.bytes().first(size));
  in_.consume(size);
  left -= framing == BodyFraming::kLength ? size : 0;
  return Syntax::kSound;
}

void Http1Receiver::hold(base::Bytes bytes) {
  budget_.held += bytes.size();
  answer_->append(bytes);
}

// A stream that holds nothing may always read a piece, so that each comes on, whatever the others hold.
bool Http1Receiver::is_full() const {
  if (answer_->size() == 0) return false;
  return answer_->size() >= kMaxHeldAnswer || budget_.held >= AnswerBudget::kMost || !net::has_room(origin_.buffers());
}

// Until the client has taken some of what is held for it.
asio::awaitable<Room> Http1Receiver::make_room() {
  if (is_full()) in_.shrink();
  while (is_full() && !client_.closed()) {
    waiter_.expires_after(h1::kBodyIdle);
    co_await waiter_.wait();
    if (!waiter_.timed_out()) continue;
    fail(Reason::kTimedOut, "the client did not take the answer");
    co_return Room::kNone;
  }
  co_return client_.closed() ? Room::kNone : Room::kFree;
}

asio::awaitable<Message> Http1Receiver::deliver(BodyFraming framing, std::uint64_t length) {
  std::uint64_t left = length;
  for (;;) {
    if (accept(framing, left) == Syntax::kMalformed) co_return Message::kCutShort;
    if (framing == BodyFraming::kLength && left == 0) co_return Message::kWhole;
    if (chunks_.state() == sniffer::ChunkedScanner::State::kDone) co_return Message::kWhole;
    const auto room = co_await make_room();
    if (room == Room::kNone) co_return Message::kCutShort;
    const auto read = co_await read_more(net::has_room(origin_.buffers()) ? kAnswerReadSize : h1::kSmallRead);
    if (read == Read::kMore) continue;
    const bool ended = framing == BodyFraming::kUntilClose || chunks_.end_of_stream();
    const bool whole = ended && !client_.closed() && !origin_.timed_out();
    co_return whole ? Message::kWhole : Message::kCutShort;
  }
}

}  // namespace

asio::awaitable<StreamResult> exchange_over_http1(net::DeadlineWheel& wheel, http2::Stream& client, net::Stream& origin,
                                                  const Request& request, AnswerBudget& budget) {
  const auto executor = co_await asio::this_coro::executor;
  const auto coding = body_of(client, request);
  const auto head = http1_head(request, coding);
  Http1Receiver receiver(wheel, executor, client, origin, request, budget);
  if (!head || request.websocket) {
    receiver.fail(head ? Reason::kUpstreamFailed : Reason::kMalformed,
                  "the origin speaks HTTP/1.1, which cannot carry this request");
    co_return std::move(receiver.result);
  }
  origin.expires_after(h1::kBodyIdle);
  const auto written = co_await origin.write_all(base::as_bytes(*head));
  // A failure to send is no failure yet: an origin may have answered and closed.
  Http1Sender sender(executor, wheel, *client.received(), origin, coding);
  if (written && coding != Http1Body::kNone) sender.start();
  co_await receiver.receive();
  const bool delivered = coding == Http1Body::kNone || sender.delivered();
  if (sender.stood_still()) receiver.fail(Reason::kTimedOut, "the request body was not finished");
  auto& result = receiver.result;
  result.reusable = result.reusable && delivered;
  result.untouched = receiver.closed_before_response() && request.may_repeat && coding == Http1Body::kNone;
  if (!result.reusable) origin.close();
  co_await sender.stop();
  if (result.outcome.status != 0) co_await finish_answer(wheel, client);
  co_return std::move(result);
}

}  // namespace soleroute::gateway::http::h2
