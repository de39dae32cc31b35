// With what Asio documents alone: async_wait() of a descriptor, level-triggered, which asks the kernel for each wait.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "gateway/net/readiness.h"

namespace soleroute::gateway::net {
namespace {

namespace asio = boost::asio;

using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;

Descriptor* descriptor_of(void* registered) {
  return static_cast<Descriptor*>(registered);
}

}  // namespace

Readiness::Readiness(asio::io_context& io, int fd) : loop_(&io), fd_(fd) {}

Readiness::~Readiness() {
  forget();
}

template <class Handler>
void Readiness::begin(For what, Handler handler) {
  const bool reading = what == For::kReading;
  writing_asked_ = writing_asked_ || !reading;
  auto& io = *static_cast<asio::io_context*>(loop_);
  boost::system::error_code error;
  if (fd_ < 0) error = asio::error::operation_aborted;
  if (!error && registered_ == nullptr) {
    auto descriptor = std::make_unique<Descriptor>(io);
    (void)descriptor->assign(fd_, error);
    if (!error) registered_ = descriptor.release();
  }
  auto done = [handler = std::move(handler)](const boost::system::error_code& result) mutable {
    std::move(handler)(result.value());
  };
  if (error) return asio::post(io, [done = std::move(done), error]() mutable { done(error); });
  descriptor_of(registered_)->async_wait(reading ? Descriptor::wait_read : Descriptor::wait_write, std::move(done));
}

asio::awaitable<int> Readiness::wait(For what) {
  const auto start = [this, what](auto handler) { begin(what, std::move(handler)); };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(int)>(start, asio::use_awaitable);
}

void Readiness::wait(For what, std::shared_ptr<Waiter> waiter) {
  begin(what, [waiter = std::move(waiter)](int error) { waiter->ready(error); });
}

void Readiness::cancel() {
  boost::system::error_code ignored;
  if (registered_ != nullptr) (void)descriptor_of(registered_)->cancel(ignored);
}

void Readiness::forget() {
  const std::unique_ptr<Descriptor> descriptor(descriptor_of(std::exchange(registered_, nullptr)));
  if (descriptor != nullptr) (void)descriptor->release();  // its owner closes it
  fd_ = -1;
}

}  // namespace soleroute::gateway::net
