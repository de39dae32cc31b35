// Runs an io_context on the calling thread until a coroutine has its result.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

namespace soleroute::testing {

// Until `done()`; throws when that takes a minute, which no test should.
template <class Done>
void run_until(boost::asio::io_context& io, Done done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the test waits for nothing");
    io.restart();
    io.run_one_for(std::chrono::milliseconds(100));
  }
}

// The result arrives in `into`; the caller runs the loop.
template <class T>
void start(boost::asio::io_context& io, boost::asio::awaitable<T> task, std::optional<T>& into) {
  boost::asio::co_spawn(io, std::move(task), [&into](std::exception_ptr error, T value) {
    if (error) std::rethrow_exception(error);
    into.emplace(std::move(value));
  });
}

template <class T>
T await(boost::asio::io_context& io, boost::asio::awaitable<T> task) {
  std::optional<T> result;
  start(io, std::move(task), result);
  run_until(io, [&] { return result.has_value(); });
  return std::move(*result);
}

}  // namespace soleroute::testing
