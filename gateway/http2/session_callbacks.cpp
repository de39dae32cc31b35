// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http2/session_callbacks.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace soleroute::gateway::http2 {
namespace {

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// 1xx: the answer itself is still to come.
bool is_interim(const Fields& block) {
  const Field* const status = find(block, ":status");
  return status != nullptr && status->value.starts_with('1');
}

// RFC 9113 section 8.2.1 forbids such blanks; nghttp2 lets only those of origins come so far.
std::string_view trimmed(std::string_view value) {
  constexpr std::string_view kBlanks = " \t";
  const auto begin = std::min(value.find_first_not_of(kBlanks), value.size());
  return value.substr(begin, value.find_last_not_of(kBlanks) + 1 - begin);
}

bool ends_stream(const nghttp2_frame& frame) {
  return (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

std::size_t listed_size(const nghttp2_frame& headers) {
  std::size_t size = 0;
  for (const auto& field : std::span(headers.headers.nva, headers.headers.nvlen)) {
    size += http2::listed_size(field.namelen, field.valuelen);
  }
  return size;
}

std::vector<nghttp2_nv> trailers_of(const Fields& fields) {
  std::vector<nghttp2_nv> out;
  for (const auto& field : fields) out.push_back(to_nghttp2(field));
  return out;
}

}  // namespace

nghttp2_nv to_nghttp2(const Field& field) {
  // nghttp2 copies what it is given; its interface only lacks the const.
  const auto bytes = [](const std::string& text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  };
  const auto flags = field.sensitive ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
  return {bytes(field.name), bytes(field.value), field.name.size(), field.value.size(),
          static_cast<std::uint8_t>(flags)};
}

CallbacksPtr Session::Callbacks::make() {
  nghttp2_session_callbacks* made = nullptr;
  if (nghttp2_session_callbacks_new(&made) != 0) return nullptr;
  nghttp2_session_callbacks_set_on_begin_headers_callback(made, begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(made, header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(made, invalid_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(made, frame_received);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, data_received);
  nghttp2_session_callbacks_set_on_stream_close_callback(made, stream_closed);
  nghttp2_session_callbacks_set_on_frame_send_callback(made, frame_sent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(made, frame_not_sent);
  nghttp2_session_callbacks_set_send_data_callback(made, send_data);
  return CallbacksPtr(made);
}

nghttp2_data_provider Session::Callbacks::provider_of(Stream& stream) {
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = read_outgoing;
  return provider;
}

Stream* Session::Callbacks::stream(void* user, std::int32_t id) {
  const auto found = self(user).streams_.find(id);
  return found == self(user).streams_.end() ? nullptr : found->second.get();
}

int Session::Callbacks::begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  auto& session = self(user);
  if (frame->hd.type == NGHTTP2_PUSH_PROMISE) {  // before the peer has acknowledged that there is none
    session.go_away(kProtocolError);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    session.add(std::make_shared<Stream>(session.self_, frame->hd.stream_id));
  }
  return 0;
}

int Session::Callbacks::header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                               std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                               std::uint8_t flags, void* user) {
  Stream* const target = stream(user, frame->hd.stream_id);
  if (target == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  target->block_size_ += listed_size(name_size, value_size);
  target->held_head_.add(held_for(listed_size(name_size, value_size)));  // to what earlier blocks hold
  // A little over, and a request can be answered with 431. A bomb is not even unpacked to its end.
  if (target->block_size_ > 2 * kMaxHeaderList) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  target->too_large_ =
      target->too_large_ || target->block_size_ > kMaxHeaderList || target->block_.size() == kMaxFields;
  if (target->too_large_) return 0;
  target->block_.push_back({std::string(text_of(name, name_size)), std::string(trimmed(text_of(value, value_size))),
                            (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0});
  return 0;
}

// nghttp2 would leave such a field out and go on. An origin's is, as clients that use nghttp2 do; a client's request is
// refused.
int Session::Callbacks::invalid_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t*,
                                       std::size_t name_size, const std::uint8_t*, std::size_t value_size, std::uint8_t,
                                       void* user) {
  Stream* const target = stream(user, frame->hd.stream_id);
  if (target != nullptr && self(user).role_ == Role::kClient) {
    target->block_size_ += listed_size(name_size, value_size);
    if (target->block_size_ <= 2 * kMaxHeaderList) return 0;
  }
  nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, kProtocolError);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

void Session::Callbacks::block_complete(Session& session, Stream& stream, bool end) {
  const std::size_t size = std::exchange(stream.block_size_, 0);
  Fields block = std::exchange(stream.block_, {});
  if (stream.has_head_) {  // trailers
    if (stream.too_large_) return stream.reset(kProtocolError);
    if (stream.reset_here_) return;  // bytes before them may have been left out
    stream.received_->finish(std::move(block));
    return stream.held_head_.subtract(held_for(size));  // in the body's account now
  }
  const bool interim = session.role_ == Role::kClient && is_interim(block) && !end;
  if (interim && ++stream.interims_ > kMaxInterim) return stream.reset(kEnhanceYourCalm);
  if (interim) {
    stream.interim_.push_back(std::move(block));
    stream.held_interim_ += held_for(size);
    return stream.notify();
  }
  stream.head_ = std::move(block);
  stream.has_head_ = true;
  if (end) stream.received_->finish();
  stream.notify();
}

int Session::Callbacks::frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  auto& session = self(user);
  if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
    session.has_settings_ = true;
    if (session.events_.settings) session.events_.settings();
  }
  if (frame->hd.type == NGHTTP2_GOAWAY) session.going_away_ = true;
  Stream* const found = stream(user, frame->hd.stream_id);
  if (found == nullptr) return 0;
  const auto target = session.streams_.at(frame->hd.stream_id);    // stays while it is told
  const bool whole = ends_stream(*frame) && !target->reset_here_;  // else bytes may have been left out
  if (frame->hd.type == NGHTTP2_DATA && whole) target->received_->finish();
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  block_complete(session, *target, ends_stream(*frame));
  const bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
  if (request && session.events_.request) session.events_.request(target);
  return 0;
}

int Session::Callbacks::data_received(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                                      std::size_t size, void* user) {
  Stream* const target = stream(user, id);
  if (target != nullptr && self(user).refuses_data_) target->reset(kEnhanceYourCalm);
  if (target == nullptr || target->reset_here_) return nghttp2_session_consume(session, id, size) == 0 ? 0 : -1;
  self(user).untaken_ += size;
  target->received_->append(base::as_bytes(text_of(data, size)));
  return 0;
}

int Session::Callbacks::stream_closed(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
  auto& session = self(user);
  const Stream* const target = stream(user, id);
  const bool never_asked = target != nullptr && !target->has_head_ && session.role_ == Role::kServer;
  session.close_stream(id, code);
  if (never_asked && session.events_.refused) session.events_.refused();
  return 0;
}

int Session::Callbacks::frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  auto& session = self(user);
  Stream* const target = stream(user, frame->hd.stream_id);
  switch (frame->hd.type) {
    case NGHTTP2_DATA:
      session.watch_.sent_data(frame->hd.length);
      [[fallthrough]];
    case NGHTTP2_HEADERS:
      if (target != nullptr && frame->hd.type == NGHTTP2_HEADERS) target->held_unsent_.subtract(listed_size(*frame));
      if (target == nullptr || !ends_stream(*frame)) return 0;
      target->sent_end_ = true;
      target->notify();
      return 0;
    case NGHTTP2_RST_STREAM:
      // Not asked for by us: the peer made nghttp2 do it (CVE-2025-8671).
      if (session.role_ == Role::kServer && (target == nullptr || !target->reset_here_)) session.provoked_reset();
      return 0;
    case NGHTTP2_GOAWAY:
      if (frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        session.broken(nghttp2_http2_strerror(frame->goaway.error_code));
      }
      return 0;
    default:
      return 0;
  }
}

// A request that could not be sent any more: the origin has said GOAWAY, or it was given up before its turn.
int Session::Callbacks::frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
  const bool request = frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
  if (request) self(user).close_stream(frame->hd.stream_id, kRefusedStream);
  return 0;
}

ssize_t Session::Callbacks::read_outgoing(nghttp2_session* session, std::int32_t id, std::uint8_t*, std::size_t size,
                                          std::uint32_t* flags, nghttp2_data_source* source, void*) {
  auto& target = *static_cast<Stream*>(source->ptr);
  const Body& body = *target.outgoing_;
  const std::size_t count = std::min(size, body.bytes().size());
  if (count == 0 && !body.finished()) {
    target.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (count > 0) *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (body.finished() && count == body.size()) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!body.trailers().empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const auto trailers = trailers_of(body.trailers());
      nghttp2_submit_trailer(session, id, trailers.data(), trailers.size());
    }
  }
  return static_cast<ssize_t>(count);
}

int Session::Callbacks::send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* header, std::size_t size,
                                  nghttp2_data_source* source, void* user) {
  auto& session = self(user);
  auto& body = *static_cast<Stream*>(source->ptr)->outgoing_;
  session.out_->append(text_of(header, 9));
  session.out_->append(base::as_text(body.bytes().first(size)));
  body.consume(size);
  return session.out_->size() >= session.out_limit_ ? NGHTTP2_ERR_PAUSE : 0;
}

}  // namespace soleroute::gateway::http2
