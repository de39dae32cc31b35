// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h2/http1_over_http2.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <utility>

#include "gateway/flow/connector.h"
#include "gateway/http/h1/buffer.h"
#include "gateway/http/h1/io.h"
#include "gateway/http/h2/http1_over_http2_heads.h"
#include "gateway/http/h2/response.h"
#include "gateway/http/h2/steps.h"
#include "gateway/http/h2/stream_waiter.h"
#include "gateway/http/page.h"
#include "gateway/http/websocket_handshake.h"
#include "gateway/http2/connection.h"
#include "sniffer/http1_chunked.h"
#include "sniffer/http1_text.h"

namespace soleroute::gateway::http::h2 {
namespace {

namespace asio = boost::asio;
using sniffer::BodyFraming;
using sniffer::ChunkedScanner;

constexpr std::size_t kReadSize = std::size_t{16} * 1024;
constexpr std::size_t kMaxHeld = std::size_t{256} * 1024;  // of a body that the origin does not take

std::string chunk(base::Bytes bytes) {
  std::string digits;
  for (std::size_t size = bytes.size(); size > 0; size /= 16)
    digits.insert(digits.begin(), "0123456789abcdef"[size % 16]);
  return digits.append("\r\n").append(base::as_text(bytes)).append("\r\n");
}

std::string last_chunk(const http2::Fields& trailers) {
  std::string out = "0\r\n";
  for (const auto& field : trailers) {
    if (!sniffer::is_forbidden_trailer(field.name))
      out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  return out.append("\r\n");
}

// Both connections, and the request under way. Held by the coroutines that it runs: one reads requests, one writes
// answers, one drives HTTP/2. When one of them ends, all do, except that an answer that has come whole is still
// written.
class Translation : public std::enable_shared_from_this<Translation> {
 public:
  Translation(flow::Context& context, std::unique_ptr<net::Stream> client, std::unique_ptr<net::Stream> origin)
      : context_(context),
        client_(std::move(client)),
        origin_(std::move(origin)),
        connection_(context.io.get_executor(), *origin_, http2::Role::kClient,
                    {.request = {}, .refused = {}, .settings = [this] { to_write_.set(); }, .wake = {}}),
        to_write_(context.io.get_executor()),
        answered_(context.io.get_executor()),
        room_(context.io.get_executor(), context.wheel) {
    in_.account_to(client_->buffers());
  }
  Translation(const Translation&) = delete;
  Translation& operator=(const Translation&) = delete;
  ~Translation() { forget_request(); }

  void start() {
    spawn(connection_.run(), &Translation::origin_gone);
    spawn(read_requests());
    spawn(write_answers());
  }

 private:
  void spawn(asio::awaitable<void> task, void (Translation::*then)() = &Translation::end) {
    asio::co_spawn(context_.io, std::move(task),
                   [self = shared_from_this(), then](const std::exception_ptr&) { (self.get()->*then)(); });
  }
  void origin_gone();
  void end();
  void forget_request();

  asio::awaitable<void> read_requests();
  asio::awaitable<Message> read_head();
  asio::awaitable<Read> read_more();
  asio::awaitable<Message> read_body();
  void begin_body();
  Syntax take_body(ChunkedScanner& chunks, std::uint64_t& left);
  asio::awaitable<Room> make_room();
  void ask();

  asio::awaitable<void> write_answers();
  asio::awaitable<Next> write_answer();
  asio::awaitable<void> refuse_websocket();
  std::string next_piece();
  std::string begin_answer();
  std::string framing_of(const http2::Fields& head);

  flow::Context& context_;
  std::unique_ptr<net::Stream> client_;
  std::unique_ptr<net::Stream> origin_;
  http2::Connection connection_;
  net::Event to_write_;  // an answer has gone on
  net::Event answered_;
  StreamWaiter room_;  // for a request body
  bool over_ = false;
  bool origin_gone_ = false;
  h1::ReadBuffer in_;

  // The request under way.
  bool asking_ = false;
  bool http11_ = true;
  BodyFraming framing_ = BodyFraming::kNone;  // of its body
  std::uint64_t length_ = 0;
  std::string websocket_key_;
  Request request_;
  std::shared_ptr<http2::Body> up_;
  std::shared_ptr<http2::Stream> asked_;  // once its head has been sent
  // Its answer.
  enum class Coding : std::uint8_t { kNone, kAsItIs, kChunked, kUntilClose };
  bool answering_ = false;
  Coding coding_ = Coding::kNone;
};

void Translation::origin_gone() {
  origin_gone_ = true;
  const bool whole = asking_ && asked_ != nullptr && asked_->received()->finished();
  if (!whole) end();
}

void Translation::end() {
  if (std::exchange(over_, true)) return;
  connection_.close();
  client_->close();
  to_write_.set();
  answered_.set();
  room_.set();
}

void Translation::forget_request() {
  if (asked_ != nullptr) {
    asked_->on_change = nullptr;
    asked_->received()->on_change = nullptr;
  }
  if (up_ != nullptr) up_->on_consumed = nullptr;
  asked_.reset();
  up_.reset();
}

// --- From the client.

asio::awaitable<Read> Translation::read_more() {
  const auto count = co_await client_->read_some(in_.space(kReadSize));
  if (count && *count > 0) in_.received(*count);
  co_return count && *count > 0 && !over_ ? Read::kMore : Read::kNoMore;
}

asio::awaitable<Message> Translation::read_head() {
  for (;;) {
    const auto parsed = sniffer::parse_request_head(in_.bytes());
    if (parsed.malformed()) co_return Message::kCutShort;
    if (parsed.complete()) {
      const auto& head = parsed.value();
      request_ = http2_request(head);
      http11_ = head.http11;
      framing_ = request_.websocket ? BodyFraming::kUntilClose : head.framing;
      length_ = head.content_length;
      websocket_key_ = head.websocket_key;
      in_.consume(head.size);
      co_return Message::kWhole;
    }
    const auto read = co_await read_more();
    if (read == Read::kNoMore) co_return Message::kCutShort;
  }
}

void Translation::begin_body() {
  up_ = std::make_shared<http2::Body>();
  up_->account_to(client_->buffers());
  up_->on_consumed = [this](std::size_t) { room_.set(); };
}

asio::awaitable<void> Translation::read_requests() {
  for (;;) {
    const auto read = in_.empty() ? co_await read_more() : Read::kMore;
    if (read == Read::kNoMore) co_return;  // it is gone, whether it has its answer or not
    while (asking_ && !over_)
      co_await answered_.wait();  // of which all but the end has been sent: the next request is there
    if (over_) co_return;
    const auto head = co_await read_head();
    if (head != Message::kWhole) co_return;
    forget_request();
    if (framing_ != BodyFraming::kNone) begin_body();
    asking_ = true;
    to_write_.set();
    const auto body = framing_ == BodyFraming::kNone ? Message::kWhole : co_await read_body();
    if (body != Message::kWhole) co_return;
  }
}

Syntax Translation::take_body(ChunkedScanner& chunks, std::uint64_t& left) {
  if (framing_ == BodyFraming::kChunked) {
    http2::Fields trailers;
    sniffer::ChunkedContent content;
    content.data = [this](base::Bytes bytes) { up_->append(bytes); };
    content.trailer = [&trailers](const sniffer::HeaderField& field) { trailers.push_back(lower_case(field)); };
    in_.consume(chunks.feed(in_.bytes(), &content));
    if (chunks.state() == ChunkedScanner::State::kDone) up_->finish(std::move(trailers));
    return chunks.state() == ChunkedScanner::State::kMalformed ? Syntax::kMalformed : Syntax::kSound;
  }
  const auto size = framing_ == BodyFraming::kLength ? std::min<std::uint64_t>(left, in_.size()) : in_.size();
  if (size > 0) up_->append(in_.bytes().first(size));
  in_.consume(size);
  left -= framing_ == BodyFraming::kLength ? size : 0;
  if (framing_ == BodyFraming::kLength && left == 0) up_->finish();
  return Syntax::kSound;
}

asio::awaitable<Room> Translation::make_room() {
  while (up_->size() >= kMaxHeld && !over_) {
    room_.expires_after(h1::kBodyIdle);
    co_await room_.wait();
    if (room_.timed_out()) co_return Room::kNone;
  }
  co_return over_ ? Room::kNone : Room::kFree;
}

// kCutShort, too, where no request can follow.
asio::awaitable<Message> Translation::read_body() {
  ChunkedScanner chunks;
  std::uint64_t left = length_;
  for (;;) {
    if (take_body(chunks, left) == Syntax::kMalformed) co_return Message::kCutShort;
    if (up_->finished()) co_return Message::kWhole;
    const auto room = co_await make_room();
    if (room == Room::kNone) co_return Message::kCutShort;
    const auto read = co_await read_more();
    if (read == Read::kMore) continue;
    if (framing_ != BodyFraming::kUntilClose || over_) co_return Message::kCutShort;
    up_->finish();  // a WebSocket whose client has said its last word
    while (asking_ && !over_) co_await answered_.wait();
    co_return Message::kCutShort;
  }
}

// --- To the client.

void Translation::ask() {
  asked_ = connection_.session().request(head_of(request_), up_);
  asked_->on_change = [this] { to_write_.set(); };
  asked_->received()->on_change = [this] { to_write_.set(); };
}

asio::awaitable<void> Translation::write_answers() {
  while (!over_) {
    const auto next = asking_ ? co_await write_answer() : Next::kGoesOn;
    if (next == Next::kOver) co_return;
    if (!over_) co_await to_write_.wait();
  }
}

// What the origin has sent since the last time.
asio::awaitable<Next> Translation::write_answer() {
  const auto& session = connection_.session();
  if (asked_ == nullptr && request_.websocket && !session.has_settings())
    co_return Next::kGoesOn;  // which say whether it may
  if (asked_ == nullptr && request_.websocket && !session.peer_takes_websockets()) {
    co_await refuse_websocket();
    co_return Next::kOver;
  }
  if (asked_ == nullptr) ask();
  const auto& body = *asked_->received();
  for (;;) {
    const std::string piece = next_piece();
    if (piece.empty()) break;
    const net::HeldBytes held(client_->buffers(), piece.capacity());
    const auto written = co_await client_->write_all(base::as_bytes(piece));
    if (!written || over_) co_return Next::kOver;
  }
  if (!answering_ || !body.at_end()) {
    co_return asked_->closed() || asked_->head_too_large() ? Next::kOver : Next::kGoesOn;
  }
  if (coding_ == Coding::kChunked) {
    const std::string last = last_chunk(body.trailers());
    const auto written = co_await client_->write_all(base::as_bytes(last));
    if (!written) co_return Next::kOver;
  }
  const bool uploaded = up_ == nullptr || up_->finished();
  if (coding_ == Coding::kUntilClose || !uploaded) client_->shutdown_send();
  answering_ = false;
  asking_ = false;
  answered_.set();
  const bool more = coding_ != Coding::kUntilClose && uploaded && !origin_gone_;
  co_return more ? Next::kGoesOn : Next::kOver;
}

// In the origin's place, which has no words for it: what it cannot do is known before it is asked.
asio::awaitable<void> Translation::refuse_websocket() {
  const UpstreamFault fault{.error = "http_upgrade_failed",
                            .host = request_.authority,
                            .cause = "it speaks HTTP/2 only, and supports no WebSocket over it (RFC 8441)"};
  const Page page = upstream_page(502, fault, BodyForm::kText);
  const std::string answer = render(page, false, true);
  const auto written = co_await client_->write_all(base::as_bytes(answer));
  (void)written;  // the connection is over either way
}

std::string Translation::next_piece() {
  std::string out;
  for (const auto& interim : asked_->take_interim()) out += http1_answer_head(forwarded_response(interim), {});
  if (!answering_ && asked_->has_head() && !asked_->head_too_large()) out += begin_answer();
  auto& body = *asked_->received();
  if (!answering_ || body.size() == 0) return out;
  const auto bytes = body.bytes().first(std::min(body.bytes().size(), h1::kBulkRead));
  if (coding_ == Coding::kChunked) {
    out += chunk(bytes);
  } else {
    out += base::as_text(bytes);
  }
  body.consume(bytes.size());
  return out;
}

std::string Translation::begin_answer() {
  answering_ = true;
  const auto head = forwarded_response(asked_->head());
  const std::string framing = framing_of(head);
  if (!request_.websocket || coding_ != Coding::kUntilClose) return http1_answer_head(head, framing);
  http2::Fields switched = head;
  for (auto& field : switched) {
    if (field.name == ":status") field.value = "101";
  }
  return http1_answer_head(switched, framing);
}

std::string Translation::framing_of(const http2::Fields& head) {
  const auto& body = *asked_->received();
  const std::string& status = http2::find(head, ":status")->value;  // nghttp2 takes no answer without one
  if (request_.websocket && status.starts_with('2')) {
    coding_ = Coding::kUntilClose;
    return "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: " + websocket_accept(websocket_key_) +
           "\r\n";
  }
  coding_ = Coding::kAsItIs;
  const bool none = request_.method == "HEAD" || status == "204" || status == "304";
  if (none || http2::find(head, "content-length") != nullptr) return {};
  if (body.at_end() && body.trailers().empty()) return "content-length: 0\r\n";
  coding_ = http11_ ? Coding::kChunked : Coding::kUntilClose;
  return http11_ ? "transfer-encoding: chunked\r\n" : "connection: close\r\n";
}

}  // namespace

std::unique_ptr<net::Stream> http1_over_http2(flow::Context& context, const base::IpAddress& client,
                                              std::unique_ptr<net::Stream> origin) {
  net::DescriptorBudget::Charge charge;
  if (net::DescriptorBudget* const budget = context.connector.descriptors(); budget != nullptr) {
    auto taken = budget->descriptors(client, 2);
    if (!taken) return nullptr;
    charge = std::move(*taken);
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) return nullptr;
  auto near = std::make_unique<net::TcpStream>(context.io, context.wheel, base::Fd(ends[0]));
  auto far = std::make_unique<net::TcpStream>(context.io, context.wheel, base::Fd(ends[1]));
  near->account_to(origin->buffers());
  far->account_to(origin->buffers());
  near->charge(std::move(charge));
  std::make_shared<Translation>(context, std::move(far), std::move(origin))->start();
  return near;
}

}  // namespace soleroute::gateway::http::h2
