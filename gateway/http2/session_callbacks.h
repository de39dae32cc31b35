// What nghttp2 calls back into a session. For session.cpp alone.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>

#include "gateway/http2/session.h"

namespace soleroute::gateway::http2 {

struct CallbacksDeleter {
  void operator()(nghttp2_session_callbacks* callbacks) const { nghttp2_session_callbacks_del(callbacks); }
};
using CallbacksPtr = std::unique_ptr<nghttp2_session_callbacks, CallbacksDeleter>;

// Borrows the field.
[[nodiscard]] nghttp2_nv to_nghttp2(const Field& field);

// Each of nghttp2's signature; `user` is the session.
struct Session::Callbacks {
  static CallbacksPtr make();
  static nghttp2_data_provider provider_of(Stream& stream);  // of what it sends

  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user);
  static int header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t flags,
                    void* user);
  static int invalid_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                            std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                            std::uint8_t flags, void* user);
  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user);
  static int data_received(nghttp2_session* session, std::uint8_t flags, std::int32_t id, const std::uint8_t* data,
                           std::size_t size, void* user);
  static int stream_closed(nghttp2_session* session, std::int32_t id, std::uint32_t code, void* user);
  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user);
  static int frame_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int error, void* user);
  static int send_data(nghttp2_session* session, nghttp2_frame* frame, const std::uint8_t* header, std::size_t size,
                       nghttp2_data_source* source, void* user);
  static ssize_t read_outgoing(nghttp2_session* session, std::int32_t id, std::uint8_t* into, std::size_t size,
                               std::uint32_t* flags, nghttp2_data_source* source, void* user);

 private:
  static Session& self(void* user) { return *static_cast<Session*>(user); }
  static Stream* stream(void* user, std::int32_t id);
  static void block_complete(Session& session, Stream& stream, bool end);
};

}  // namespace soleroute::gateway::http2
