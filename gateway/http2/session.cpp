// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http2/session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "gateway/http2/session_callbacks.h"

namespace soleroute::gateway::http2 {
namespace {

struct OptionDeleter {
  void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};

std::size_t listed_size(const Fields& fields) {
  std::size_t size = 0;
  for (const auto& field : fields) size += http2::listed_size(field.name.size(), field.value.size());
  return size;
}

std::vector<nghttp2_nv> to_nghttp2(const Fields& fields) {
  std::vector<nghttp2_nv> out;
  out.reserve(fields.size());
  for (const auto& field : fields) out.push_back(http2::to_nghttp2(field));
  return out;
}

}  // namespace

void Session::Deleter::operator()(nghttp2_session* session) const {
  nghttp2_session_del(session);
}

Session::Session(Role role, Events events) : role_(role), events_(std::move(events)), watch_(role) {
  nghttp2_option* made = nullptr;
  if (nghttp2_option_new(&made) != 0) made = nullptr;
  const std::unique_ptr<nghttp2_option, OptionDeleter> option(made);
  const auto callbacks = Callbacks::make();
  if (option == nullptr || callbacks == nullptr) {
    broken("out of memory");
    return;
  }
  nghttp2_option_set_no_auto_window_update(made, 1);
  nghttp2_option_set_no_closed_streams(made, 1);
  nghttp2_option_set_max_reserved_remote_streams(made, 0);
  // Origins send values with blanks at their ends, which browsers and curl take: Callbacks::header() cuts them off.
  if (role == Role::kClient) nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(made, 1);
  nghttp2_session* session = nullptr;
  const int failed = role == Role::kServer ? nghttp2_session_server_new2(&session, callbacks.get(), this, made)
                                           : nghttp2_session_client_new2(&session, callbacks.get(), this, made);
  if (failed != 0) {
    broken("out of memory");
    return;
  }
  session_.reset(session);
  submit_settings();
}

Session::~Session() {
  disconnected();
  *self_ = nullptr;
}

void Session::submit_settings() {
  const bool server = role_ == Role::kServer;
  const std::array<nghttp2_settings_entry, 3> entries{{
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, server ? kClientStreamWindow : kOriginStreamWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeaderList},
      {server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH, server ? kMaxStreams : 0},
  }};
  nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, entries.data(), entries.size());
  nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0, server ? kClientWindow : kOriginWindow);
}

void Session::offer_websockets() {
  if (broken_ || std::exchange(offers_websockets_, true)) return;
  const nghttp2_settings_entry entry{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
  nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, &entry, 1);
  wake();
}

void Session::broken(std::string_view why) {
  if (std::exchange(broken_, true)) return;
  fault_ = why;
}

Session::Received Session::receive(base::Bytes bytes, net::Clock::time_point now) {
  if (broken_) return Received::kFault;
  if (const auto fault = watch_.inspect(bytes, now)) {
    go_away(fault->code);
    broken(fault->why);
    return Received::kFault;
  }
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto taken = nghttp2_session_mem_recv(session_.get(), data, bytes.size());
  if (taken < 0) broken(nghttp2_strerror(static_cast<int>(taken)));
  wake();
  return broken_ ? Received::kFault : Received::kSound;
}

void Session::collect(std::string& out, std::size_t limit) {
  if (session_ == nullptr) return;
  out_ = &out;
  out_limit_ = limit;
  while (out.size() < limit) {
    const std::uint8_t* data = nullptr;
    const auto count = nghttp2_session_mem_send(session_.get(), &data);
    if (count < 0) broken(nghttp2_strerror(static_cast<int>(count)));
    if (count <= 0) break;
    out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(count));
  }
  out_ = nullptr;
}

bool Session::over() const {
  if (session_ == nullptr) return true;
  if (nghttp2_session_want_write(session_.get()) != 0) return false;
  return broken_ || nghttp2_session_want_read(session_.get()) == 0;
}

void Session::go_away(std::uint32_t code) {
  if (session_ == nullptr) return;
  if (code != kNoError) {
    nghttp2_session_terminate_session(session_.get(), code);
  } else {
    const auto last = nghttp2_session_get_last_proc_stream_id(session_.get());
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, last, code, nullptr, 0);
    going_away_ = true;
  }
  wake();
}

void Session::disconnected() {
  broken({});
  while (!streams_.empty()) close_stream(streams_.begin()->first, kInternalError);
}

void Session::provoked_reset() {
  if (const auto flood = watch_.provoked_reset(); flood && !broken_) {
    go_away(flood->code);
    broken(flood->why);
  }
}

void Session::add(const std::shared_ptr<Stream>& stream) {
  const auto consumed = [self = self_, id = stream->id_](std::size_t count) {
    if (*self != nullptr) (*self)->consume(id, count);
  };
  stream->received_->on_consumed = consumed;
  stream->received_->account_to(buffers_);
  stream->held_head_ = net::HeldBytes(buffers_);
  stream->held_unsent_ = net::HeldBytes(buffers_);
  streams_.emplace(stream->id_, stream);
}

void Session::consume(std::int32_t id, std::size_t count) {
  if (count == 0 || session_ == nullptr) return;
  untaken_ -= std::min(count, untaken_);
  nghttp2_session_consume(session_.get(), id, count);
  wake();
}

void Session::close_stream(std::int32_t id, std::uint32_t code) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  const auto stream = std::move(found->second);
  streams_.erase(found);
  if (stream->outgoing_ != nullptr) stream->outgoing_->on_change = nullptr;
  stream->closed_ = true;
  stream->error_code_ = code;
  stream->held_unsent_.set(0);
  stream->received_->abort();
  stream->notify();
}

std::shared_ptr<Stream> Session::request(const Fields& head, std::shared_ptr<Body> body) {
  auto stream = std::make_shared<Stream>(self_, 0);
  stream->outgoing_ = std::move(body);
  const auto fields = to_nghttp2(head);
  const auto provider = Callbacks::provider_of(*stream);
  const auto id = broken_ || going_away_
                      ? -1
                      : nghttp2_submit_request(session_.get(), nullptr, fields.data(), fields.size(),
                                               stream->outgoing_ == nullptr ? nullptr : &provider, nullptr);
  if (id < 0) {
    stream->closed_ = true;
    stream->error_code_ = kRefusedStream;
    return stream;
  }
  stream->id_ = id;
  add(stream);
  watch_outgoing(*stream);
  wake();
  return stream;
}

bool Session::takes_requests() const {
  return !broken_ && !going_away_ && nghttp2_session_check_request_allowed(session_.get()) != 0;
}

bool Session::peer_takes_websockets() const {
  return has_settings_ &&
         nghttp2_session_get_remote_settings(session_.get(), NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

void Session::watch_outgoing(Stream& stream) {
  if (stream.outgoing_ == nullptr) return;
  stream.outgoing_->on_change = [this, &stream] {
    if (!std::exchange(stream.deferred_, false)) return;
    nghttp2_session_resume_data(session_.get(), stream.id_);
    wake();
  };
}

Stream::~Stream() {
  if (outgoing_ != nullptr) outgoing_->on_change = nullptr;
  received_->on_consumed = nullptr;
  // Bytes that nobody took would narrow the connection's window for good.
  if (*session_ != nullptr) (*session_)->consume(id_, received_->size());
}

std::vector<Fields> Stream::take_interim() {
  held_head_.subtract(std::exchange(held_interim_, 0));
  return std::exchange(interim_, {});
}

void Stream::send_interim(const Fields& fields) {
  if (closed_) return;
  const auto out = to_nghttp2(fields);
  held_unsent_.add(listed_size(fields));
  nghttp2_submit_headers((*session_)->session_.get(), NGHTTP2_FLAG_NONE, id_, nullptr, out.data(), out.size(), nullptr);
  (*session_)->wake();
}

void Stream::respond(const Fields& head, std::shared_ptr<Body> body) {
  if (closed_) return;
  outgoing_ = std::move(body);
  held_unsent_.add(listed_size(head));
  const auto out = to_nghttp2(head);
  const auto provider = Session::Callbacks::provider_of(*this);
  nghttp2_submit_response((*session_)->session_.get(), id_, out.data(), out.size(),
                          outgoing_ == nullptr ? nullptr : &provider);
  (*session_)->watch_outgoing(*this);
  (*session_)->wake();
}

void Stream::reset(std::uint32_t code) {
  if (closed_ || std::exchange(reset_here_, true)) return;
  nghttp2_submit_rst_stream((*session_)->session_.get(), NGHTTP2_FLAG_NONE, id_, code);
  (*session_)->wake();
}

}  // namespace soleroute::gateway::http2
