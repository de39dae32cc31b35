// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http/h1/upstream.h"

#include <array>
#include <utility>

namespace soleroute::gateway::http::h1 {

bool Upstream::ready_for(std::string_view origin, bool awaited) {
  if (!is_connected() || origin_ != origin || !received_.empty()) return false;
  if (awaited && watch_ && watch_->watching) return true;
  std::array<std::byte, 1> unasked{};
  return stream_->try_read_some(unasked).would_block();
}

void Upstream::connected(std::unique_ptr<net::Stream> stream, std::string origin,
                         std::shared_ptr<const flow::UpstreamProxy> forwarder) {
  stream_ = std::move(stream);
  received_.account_to(stream_->buffers());
  watch_.reset();  // what it may still be told is of another stream
  received_.consume(received_.size());
  origin_ = std::move(origin);
  forwarder_ = std::move(forwarder);
}

void Upstream::rest() {
  if (!stream_->wait_before_reading()) return;
  if (!watch_) watch_ = std::make_shared<Watch>();
  if (watch_->watching) return;
  const auto wait = stream_->start_wait(net::Readiness::For::kReading, watch_);
  watch_->watching = wait == net::Stream::Wait::kStarted;
}

void Upstream::expect_answer() {
  if (watch_ && watch_->watching) (void)stream_->wait_before_reading();
}

void Upstream::close() {
  if (stream_ != nullptr) stream_->close();
}

}  // namespace soleroute::gateway::http::h1
