// Runs something on the thread of a loop and waits until it is done: nothing of the loop's happens in between.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>

namespace soleroute::test {

template <class What>
void on_loop(boost::asio::io_context& io, What what) {
  std::promise<void> done;
  boost::asio::post(io, [&] {
    what();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace soleroute::test
