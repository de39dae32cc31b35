// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h2/exchange.h"

#include <boost/asio/this_coro.hpp>
#include <charconv>
#include <utility>

#include "gateway/http/h1/exchange.h"
#include "gateway/http/h1/io.h"
#include "gateway/http/h2/response.h"
#include "gateway/http/h2/steps.h"
#include "gateway/http/h2/stream_waiter.h"
#include "gateway/http/websocket_handshake.h"

namespace soleroute::gateway::http::h2 {
namespace {

namespace asio = boost::asio;
using policy::Reason;

int status_of(const http2::Fields& head) {
  const http2::Field* const field = http2::find(head, ":status");
  int status = 0;
  if (field != nullptr) std::from_chars(field->value.data(), field->value.data() + field->value.size(), status);
  return status;
}

bool is_empty(const http2::Body& body) {
  return body.at_end() && body.total() == 0 && body.trailers().empty();
}

// Both streams of a request. Members are public to exchange_over_http2() below; nobody else has one.
class Pair {
 public:
  Pair(StreamWaiter& waiter, http2::Stream& client, http2::Stream& origin, const Request& request)
      : waiter_(waiter), client_(client), origin_(origin), request_(request) {}

  // Moves what has come.
  Next step();
  void touch();
  // Nothing has moved since touch().
  [[nodiscard]] bool stands_still() const { return moved() == moved_; }
  void fail(Reason reason, std::string why);

  StreamResult result;

 private:
  Next origin_closed();
  Next respond();
  [[nodiscard]] std::uint64_t moved() const;

  StreamWaiter& waiter_;
  http2::Stream& client_;
  http2::Stream& origin_;
  const Request& request_;
  std::uint64_t moved_ = 0;
};

std::uint64_t Pair::moved() const {
  const auto& up = *client_.received();
  const auto& down = *origin_.received();
  return 2 * (up.total() + down.total()) - up.size() - down.size();
}

void Pair::touch() {
  moved_ = moved();
  const bool stalled = client_.received()->size() > 0 || origin_.received()->size() > 0;
  const bool uploading = !origin_.has_head() && !client_.received()->finished();
  waiter_.expires_after(stalled || uploading ? h1::kBodyIdle : h1::kResponseIdle);
}

void Pair::fail(Reason reason, std::string why) {
  result.outcome.failure = reason;
  result.outcome.detail = std::move(why);
}

// kOver: an answer that must not be passed on.
Next Pair::respond() {
  const int status = status_of(origin_.head());
  if (request_.websocket && status / 100 == 2) {
    const auto fault = websocket_fault(websocket_offer(request_.fields), origin_.head());
    if (!fault.empty()) {
      fail(Reason::kUpstreamFailed, "its WebSocket handshake: " + std::string(fault));
      return Next::kOver;
    }
  }
  result.outcome.status = status;
  client_.respond(forwarded_response(origin_.head()), is_empty(*origin_.received()) ? nullptr : origin_.received());
  return Next::kGoesOn;
}

Next Pair::step() {
  if (client_.closed()) return Next::kOver;
  for (const auto& interim : origin_.take_interim()) client_.send_interim(forwarded_response(interim));
  if (origin_.has_head() && result.outcome.status == 0 && !origin_.head_too_large() && respond() == Next::kOver) {
    return Next::kOver;
  }
  if (origin_.head_too_large() && result.outcome.status == 0) {
    fail(Reason::kUpstreamFailed, "its answer: a header list too large");
    return Next::kOver;
  }
  return origin_.closed() ? origin_closed() : Next::kGoesOn;
}

Next Pair::origin_closed() {
  if (result.outcome.status != 0 && origin_.received()->finished())
    return client_.sent_end() ? Next::kOver : Next::kGoesOn;
  const auto& upload = *client_.received();
  const bool kept = upload.total() == upload.size();
  result.untouched = result.outcome.status == 0 && kept && origin_.error_code() == http2::kRefusedStream;
  const bool silent = result.outcome.status == 0;
  fail(Reason::kUpstreamFailed, silent ? "it ended the request without an answer" : "its answer ended too early");
  if (!silent) client_.reset(origin_.error_code() == http2::kNoError ? http2::kInternalError : origin_.error_code());
  return Next::kOver;
}

}  // namespace

asio::awaitable<StreamResult> exchange_over_http2(net::DeadlineWheel& wheel, http2::Stream& client,
                                                  http2::Session& origin, const Request& request) {
  if (request.websocket && origin.has_settings() && !origin.peer_takes_websockets()) {
    StreamResult none;
    none.outcome = {.failure = Reason::kUpstreamFailed, .detail = "it takes no WebSocket over HTTP/2"};
    co_return none;
  }
  StreamWaiter waiter(co_await asio::this_coro::executor, wheel);
  const auto asked = origin.request(head_of(request), is_empty(*client.received()) ? nullptr : client.received());
  const Listening to_client(client, waiter);
  const Listening to_origin(*asked, waiter);
  Pair pair(waiter, client, *asked, request);
  while (pair.step() == Next::kGoesOn) {
    if (!waiter.timed_out() || !pair.stands_still()) pair.touch();
    if (waiter.timed_out()) {
      pair.fail(Reason::kTimedOut,
                pair.result.outcome.status == 0 ? "it did not answer in time" : "its response stalled");
      if (pair.result.outcome.status != 0) client.reset(http2::kCancel);
      break;
    }
    co_await waiter.wait();
  }
  // A connection that was dead before it was asked: as good as refused.
  const auto& upload = *client.received();
  const bool lost = asked->closed() && pair.result.outcome.status == 0 && !origin.takes_requests();
  if (lost && request.may_repeat && upload.total() == upload.size()) pair.result.untouched = true;
  asked->reset(http2::kCancel);  // nothing, if it has ended
  pair.result.outcome.to_client = asked->received()->total() - asked->received()->size();
  if (pair.result.outcome.status != 0) co_await finish_answer(wheel, client);
  co_return std::move(pair.result);
}

asio::awaitable<void> finish_answer(net::DeadlineWheel& wheel, http2::Stream& client) {
  StreamWaiter waiter(co_await asio::this_coro::executor, wheel);
  const Listening to_client(client, waiter);
  waiter.expires_after(h1::kBodyIdle);
  while (!client.closed() && !client.sent_end() && !waiter.timed_out()) co_await waiter.wait();
  client.reset(client.sent_end() ? http2::kNoError : http2::kCancel);
}

}  // namespace soleroute::gateway::http::h2
