// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/http1_exchange.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <utility>
#include <vector>

#include "gateway/flow/http1_forward.h"
#include "gateway/flow/http1_page.h"

namespace soleroute::gateway::flow {
namespace {

namespace asio = boost::asio;
using Then = ExchangeResult::Then;
using policy::Reason;

constexpr std::size_t kSmallRead = 4096;      // held by a connection that waits
constexpr std::size_t kBulkRead = 64 * 1024;  // borrowed for a moment from the worker
constexpr std::size_t kMaxDrained = 1 << 20;  // of a body that nobody wants any more
constexpr std::chrono::milliseconds kLastWordTimeout{1000};
constexpr std::chrono::milliseconds kHeadTimeout{60000};  // from its first byte, for what then comes slowly
constexpr std::chrono::milliseconds kAnswerGrace{10000};  // the client's deadline is later, so that it can be told

// Filled and emptied without suspending in between, so one for a worker serves all its connections.
std::span<std::byte> scratch() {
  thread_local std::vector<std::byte> buffer(kBulkRead);
  return buffer;
}

// A peer that takes nothing for kBodyIdle is given up.
asio::awaitable<bool> write(net::Stream& to, base::Bytes bytes) {
  const auto written = to.try_write_some(bytes);
  if (written && !*written) co_return false;
  bytes = bytes.subspan(written ? **written : 0);
  if (bytes.empty()) co_return true;
  to.expires_after(kBodyIdle);
  const auto rest = co_await to.write_all(bytes);
  co_return rest.has_value();
}

// For bytes in scratch(): what cannot be written at once is copied before anything waits.
asio::awaitable<bool> write_scratch(net::Stream& to, base::Bytes bytes) {
  const auto written = to.try_write_some(bytes);
  if (written && !*written) co_return false;
  bytes = bytes.subspan(written ? **written : 0);
  if (bytes.empty()) co_return true;
  const std::vector<std::byte> kept(bytes.begin(), bytes.end());
  co_return co_await write(to, kept);
}

// Nobody reads from a client that waits for its answer; looks now and then whether it is still there.
class ClientWatch final : private net::Deadline {
 public:
  // `ended`: the client sends no more; `gone`: it has broken off.
  ClientWatch(net::DeadlineWheel& wheel, net::Stream& client, std::function<void()> ended, std::function<void()> gone)
      : wheel_(wheel), client_(client), ended_(std::move(ended)), gone_(std::move(gone)) {
    arm(wheel_, kEvery);
  }
  ~ClientWatch() override { disarm(); }

 private:
  static constexpr std::chrono::milliseconds kEvery{5000};

  void expired() override {
    if (!client_.is_open()) return;
    char byte = 0;
    const ssize_t count = ::recv(client_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR) return gone_();
    if (count == 0) ended_();
    arm(wheel_, kEvery);
  }

  net::DeadlineWheel& wheel_;
  net::Stream& client_;
  std::function<void()> ended_;
  std::function<void()> gone_;
};

class Exchange {
 public:
  Exchange(net::DeadlineWheel& wheel, net::Stream& client, ReadBuffer& received, Upstream& upstream,
           const Request& request, Outgoing outgoing)
      : client_(client),
        received_(received),
        upstream_(upstream),
        request_(request),
        outgoing_(std::move(outgoing)),
        watch_(wheel, client, [this] { client_ended(); }, [this] { client_broke_off(); }) {}

  asio::awaitable<ExchangeResult> run(bool reused);

 private:
  enum class Upload : std::uint8_t { kNone, kRunning, kEnded };

  asio::awaitable<bool> send();
  void start_upload(const asio::any_io_executor& executor);
  asio::awaitable<void> upload();
  asio::awaitable<bool> upload_some();
  asio::awaitable<bool> upload_burst();
  bool accept_body(base::Bytes bytes, std::size_t& taken);
  asio::awaitable<void> end_upload();

  asio::awaitable<void> receive();
  asio::awaitable<std::optional<sniffer::ResponseHead>> read_head();
  asio::awaitable<bool> forward_interim(const sniffer::ResponseHead& head);
  asio::awaitable<void> deliver(const sniffer::ResponseHead& head);
  asio::awaitable<void> switch_protocols(const sniffer::ResponseHead& head);
  asio::awaitable<bool> deliver_body(BodyTracker& body);
  asio::awaitable<bool> deliver_burst(BodyTracker& body);
  asio::awaitable<bool> write_head(const sniffer::ResponseHead& head, std::size_t body_size);
  asio::awaitable<bool> to_client(base::Bytes bytes);

  asio::awaitable<void> answer_failure();
  void fail(Reason reason, std::string why);
  void touch();
  void client_ended();
  void client_broke_off();

  net::Stream& client_;
  ReadBuffer& received_;
  Upstream& upstream_;
  const Request& request_;
  Outgoing outgoing_;
  ExchangeResult result_;
  Upload upload_ = Upload::kNone;
  asio::steady_timer* upload_bell_ = nullptr;
  bool answering_ = false;     // the final head is on its way to the client
  bool answer_begun_ = false;  // the origin has sent something
  bool unwanted_ = false;      // the rest of the request body is read and thrown away
  bool client_gone_ = false;
  bool bad_body_ = false;
  bool surplus_ = false;  // bytes after the response: the origin is not to be used again
  bool half_closed_ = false;
  std::size_t drained_ = 0;
  ClientWatch watch_;
};

void Exchange::touch() {
  auto limit = upload_ == Upload::kRunning ? kBodyIdle : kResponseIdle;
  if (half_closed_) limit = std::min(limit, kHalfClosedIdle);
  client_.expires_after(limit + kAnswerGrace);
  upstream_.stream().expires_after(limit);
}

void Exchange::client_ended() {
  if (!std::exchange(half_closed_, true) && upload_ != Upload::kRunning) touch();
}

void Exchange::client_broke_off() {
  client_gone_ = true;
  upstream_.close();
}

void Exchange::fail(Reason reason, std::string why) {
  if (result_.failure != Reason::kAllowed) return;
  result_.failure = reason;
  result_.detail = std::move(why);
}

// The head and what is there of the body, in one write.
asio::awaitable<bool> Exchange::send() {
  const auto bytes = received_.bytes();
  result_.from_client = outgoing_.head_size - outgoing_.head_offset + outgoing_.body_size;
  if (!outgoing_.edited) {
    const auto whole = bytes.subspan(outgoing_.head_offset, result_.from_client);
    co_return co_await write(upstream_.stream(), whole);
  }
  std::string& head = *outgoing_.edited;
  head += base::as_text(bytes.subspan(outgoing_.head_size, outgoing_.body_size));
  co_return co_await write(upstream_.stream(), base::as_bytes(head));
}

// --- the request body -------------------------------------------------------------------------------------------

// False when the body turned out not to be one; then everything stops.
bool Exchange::accept_body(base::Bytes bytes, std::size_t& taken) {
  taken = outgoing_.body.take(bytes);
  if (!outgoing_.body.malformed()) return true;
  bad_body_ = true;
  fail(Reason::kMalformed, std::string(outgoing_.body.fault()));
  upstream_.close();
  return false;
}

// One read of the body and the write of it. False: there is no more to do.
asio::awaitable<bool> Exchange::upload_some() {
  auto space = received_.space(kSmallRead);
  space = space.first(outgoing_.body.readable(std::min(space.size(), kSmallRead)));
  const auto count = co_await client_.read_some(space);
  if (!count || *count == 0) {
    if (unwanted_) co_return false;
    client_gone_ = true;
    fail(client_.timed_out() ? Reason::kTimedOut : Reason::kMalformed, "the request body was not finished");
    upstream_.close();
    co_return false;
  }
  received_.received(*count);
  result_.from_client += *count;
  std::size_t taken = 0;
  if (!accept_body(received_.bytes(), taken)) co_return false;
  result_.from_client -= received_.size() - taken;
  if (unwanted_) {
    drained_ += taken;
    received_.consume(taken);
    co_return drained_ < kMaxDrained;
  }
  const bool written = co_await write(upstream_.stream(), received_.bytes().first(taken));
  received_.consume(taken);
  unwanted_ = unwanted_ || !written;  // the origin has heard enough; it may still be answering
  if (*count < space.size() || outgoing_.body.done() || unwanted_) co_return true;
  co_return co_await upload_burst();
}

// While more is there than a small read takes.
asio::awaitable<bool> Exchange::upload_burst() {
  while (!outgoing_.body.done() && !unwanted_) {
    const auto space = scratch().first(outgoing_.body.readable(kBulkRead));
    const auto count = client_.try_read_some(space);
    if (!count || !*count || **count == 0) co_return true;  // what it was, the next wait tells
    const auto bytes = space.first(**count);
    std::size_t taken = 0;
    if (!accept_body(bytes, taken)) co_return false;
    received_.append(bytes.subspan(taken));
    result_.from_client += taken;
    touch();
    unwanted_ = !co_await write_scratch(upstream_.stream(), bytes.first(taken));
  }
  co_return true;
}

asio::awaitable<void> Exchange::upload() {
  bool more = true;
  while (more && !outgoing_.body.done()) {
    if (!unwanted_) touch();
    more = co_await upload_some();
  }
}

void Exchange::start_upload(const asio::any_io_executor& executor) {
  upload_ = Upload::kRunning;
  auto body = upload();
  asio::co_spawn(executor, std::move(body), [this](const std::exception_ptr& error) {
    upload_ = Upload::kEnded;
    if (error) upstream_.close();
    if (!error && !unwanted_) touch();
    if (upload_bell_ != nullptr) upload_bell_->cancel();
  });
}

// The final answer came before the body was whole: what is still sent is thrown away for a moment, so that no reset
// overtakes the answer.
asio::awaitable<void> Exchange::end_upload() {
  if (upload_ != Upload::kRunning) co_return;
  unwanted_ = true;
  upstream_.close();
  client_.shutdown_send();
  client_.expires_after(kLastWordTimeout);
  asio::steady_timer bell(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  upload_bell_ = &bell;
  co_await bell.async_wait(asio::as_tuple(asio::use_awaitable));
  upload_bell_ = nullptr;
}

// --- the response -----------------------------------------------------------------------------------------------

asio::awaitable<std::optional<sniffer::ResponseHead>> Exchange::read_head() {
  ReadBuffer& in = upstream_.received();
  std::size_t parsed_size = 0;
  for (;;) {
    if (!in.empty() && sniffer::worth_parsing_again(in.bytes(), parsed_size)) {
      auto parsed = sniffer::parse_response_head(in.bytes(), request_.method);
      if (parsed.complete()) co_return std::move(parsed).value();
      if (parsed.malformed()) fail(Reason::kUpstreamFailed, "its answer: " + std::string(parsed.fault().reason));
      if (parsed.malformed()) co_return std::nullopt;
      parsed_size = in.size();
    }
    const auto count = co_await upstream_.stream().read_some(in.space(kSmallRead));
    if (count && *count > 0) {
      in.received(*count);
      if (!std::exchange(answer_begun_, true)) upstream_.stream().expires_after(kHeadTimeout);
      continue;
    }
    const bool late = upstream_.stream().timed_out();
    const std::string why = late ? "it did not answer in time" : "it closed the connection before it answered";
    fail(late ? Reason::kTimedOut : Reason::kUpstreamFailed, why);
    co_return std::nullopt;
  }
}

asio::awaitable<bool> Exchange::to_client(base::Bytes bytes) {
  result_.to_client += bytes.size();
  const bool written = co_await write(client_, bytes);
  client_gone_ = client_gone_ || !written;
  co_return written;
}

// The head, and `body_size` bytes of the body that came with it, in one write.
asio::awaitable<bool> Exchange::write_head(const sniffer::ResponseHead& head, std::size_t body_size) {
  ReadBuffer& in = upstream_.received();
  const auto bytes = in.bytes();
  auto edited = forwarded_response(head, base::as_text(bytes));
  if (edited) edited->append(base::as_text(bytes.subspan(head.size, body_size)));
  const base::Bytes out = edited ? base::as_bytes(*edited) : bytes.first(head.size + body_size);
  const bool written = co_await to_client(out);
  in.consume(head.size + body_size);
  co_return written;
}

asio::awaitable<bool> Exchange::forward_interim(const sniffer::ResponseHead& head) {
  if (request_.http11) co_return co_await write_head(head, 0);
  upstream_.received().consume(head.size);  // HTTP/1.0 knows none (RFC 9110 section 15.2)
  co_return true;
}

asio::awaitable<void> Exchange::receive() {
  for (int interim = 0;; ++interim) {
    const auto head = co_await read_head();
    if (!head) co_return;
    if (!head->interim()) co_return co_await deliver(*head);
    if (head->status == 101) co_return co_await switch_protocols(*head);
    if (interim == kMaxInterimResponses) co_return fail(Reason::kUpstreamFailed, "it sent too many interim responses");
    const bool forwarded = co_await forward_interim(*head);
    if (!forwarded) co_return;
  }
}

asio::awaitable<void> Exchange::switch_protocols(const sniffer::ResponseHead& head) {
  if (!request_.websocket || !head.to_websocket || upload_ == Upload::kRunning) {
    co_return fail(Reason::kUpstreamFailed, "it switched to a protocol that was not asked for");
  }
  answering_ = true;
  result_.status = head.status;
  const bool forwarded = co_await write_head(head, 0);
  result_.then = forwarded ? Then::kSwitch : Then::kReset;
}

asio::awaitable<void> Exchange::deliver(const sniffer::ResponseHead& head) {
  BodyTracker body(head.framing, head.content_length);
  const auto rest = upstream_.received().bytes().subspan(head.size);
  const std::size_t taken = body.take(rest);
  if (body.malformed()) co_return fail(Reason::kUpstreamFailed, "its answer: " + std::string(body.fault()));
  // A client of HTTP/1.0 stays only where both sides say so.
  const bool stays = head.keep_alive && request_.keep_alive && (request_.http11 || head.keep_alive_named);
  answering_ = true;
  result_.status = head.status;
  const bool begun = co_await write_head(head, taken);
  const bool whole = begun && (body.done() || co_await deliver_body(body));
  if (!whole) co_return;
  surplus_ = surplus_ || !upstream_.received().empty();
  result_.then = stays && !surplus_ ? Then::kNextRequest : Then::kClose;
}

asio::awaitable<bool> Exchange::deliver_body(BodyTracker& body) {
  ReadBuffer& in = upstream_.received();
  while (!body.done()) {
    touch();
    const auto space = in.space(kSmallRead);
    const auto count = co_await upstream_.stream().read_some(space);
    if (count && *count == 0 && body.until_close()) co_return true;
    if (!count || *count == 0) {
      const bool late = upstream_.stream().timed_out();
      fail(late ? Reason::kTimedOut : Reason::kUpstreamFailed, "its answer ended too early");
      co_return false;
    }
    in.received(*count);
    const std::size_t taken = body.take(in.bytes());
    if (body.malformed()) fail(Reason::kUpstreamFailed, "its answer: " + std::string(body.fault()));
    if (body.malformed()) co_return false;
    const bool written = co_await to_client(in.bytes().first(taken));
    in.consume(taken);
    if (!written) co_return false;
    if (*count < space.size() || body.done()) continue;
    const bool going = co_await deliver_burst(body);
    if (!going) co_return false;
  }
  co_return true;
}

asio::awaitable<bool> Exchange::deliver_burst(BodyTracker& body) {
  while (!body.done()) {
    const auto count = upstream_.stream().try_read_some(scratch());
    if (!count || !*count || **count == 0) co_return true;  // what it was, the next wait tells
    const auto bytes = scratch().first(**count);
    const std::size_t taken = body.take(bytes);
    if (body.malformed()) fail(Reason::kUpstreamFailed, "its answer: " + std::string(body.fault()));
    if (body.malformed()) co_return false;
    surplus_ = surplus_ || taken < bytes.size();
    touch();
    result_.to_client += taken;
    const bool written = co_await write_scratch(client_, bytes.first(taken));
    if (!written) client_gone_ = true;
    if (!written) co_return false;
  }
  co_return true;
}

// --- all of it --------------------------------------------------------------------------------------------------

// Nothing of an answer has been sent: say what went wrong.
asio::awaitable<void> Exchange::answer_failure() {
  const auto reason = policy::to_string(result_.failure);
  const int status = bad_body_ ? 400 : result_.failure == Reason::kTimedOut ? 504 : 502;
  const Page page = bad_body_ ? fault_page(status, reason, result_.detail)
                              : upstream_page(status, reason, request_.host, result_.detail);
  const std::string out = render(page, request_.is_head(), true);
  result_.status = status;
  const bool written = co_await to_client(base::as_bytes(out));
  result_.then = written ? Then::kClose : Then::kReset;
}

asio::awaitable<ExchangeResult> Exchange::run(bool reused) {
  touch();
  const bool whole_body = outgoing_.body.done();
  const bool sent = co_await send();
  if (!whole_body) {
    received_.consume(outgoing_.head_size + outgoing_.body_size);
    unwanted_ = !sent;
    start_upload(co_await asio::this_coro::executor);
  }
  co_await receive();  // also when sending failed: an origin may have answered and closed
  const bool dead = result_.failure != Reason::kAllowed && !answer_begun_ && !upstream_.stream().timed_out();
  if (dead && reused && whole_body && request_.may_repeat && !client_gone_) {
    result_ = {};
    result_.then = Then::kRepeat;
    co_return std::move(result_);
  }
  if (result_.failure != Reason::kAllowed && !answering_ && !client_gone_) co_await answer_failure();
  co_await end_upload();
  const bool desynchronised = !outgoing_.body.done() || unwanted_;
  if (desynchronised && result_.then == Then::kNextRequest) result_.then = Then::kClose;
  if (client_gone_) result_.then = Then::kReset;
  if (whole_body) received_.consume(outgoing_.head_size + outgoing_.body_size);
  const bool goes_on = result_.then == Then::kNextRequest || result_.then == Then::kSwitch;
  if (!goes_on) upstream_.close();
  upstream_.received().release_if_empty();
  co_return std::move(result_);
}

}  // namespace

asio::awaitable<ExchangeResult> exchange(net::DeadlineWheel& wheel, net::Stream& client, ReadBuffer& received,
                                         Upstream& upstream, const Request& request, Outgoing outgoing, bool reused) {
  Exchange exchange(wheel, client, received, upstream, request, std::move(outgoing));
  co_return co_await exchange.run(reused);
}

}  // namespace soleroute::gateway::flow
