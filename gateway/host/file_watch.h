// Tells when one of some files may have new content: written, replaced, or found through another symbolic link.
// The kernel's events count within milliseconds. A look every two seconds finds what it does not report, as on a
// network file system. A file that a program has begun to write and still has open is not told: half of it may mean
// more than all of it. Used on one thread's event loop. What is called outlives the watch.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace soleroute::gateway::host {

class FileWatch {
 public:
  struct Pace {
    std::chrono::milliseconds period{2000};      // between two looks where no event arrives
    std::chrono::milliseconds pause{50};         // between two looks, however many events arrive
    std::chrono::milliseconds quiet{50};         // without a further change, if the kernel reported the change
    std::chrono::milliseconds long_quiet{1000};  // the same where it did not, or while a file is missing
    std::chrono::milliseconds patience{2000};    // changes go on: told at least this often
    std::chrono::milliseconds open_for{10000};   // after that `kept_open` is called once
  };
  struct Calls {
    std::function<void()> changed;
    std::function<void(const std::string& path)> kept_open;
  };

  FileWatch(boost::asio::io_context& io, std::vector<std::string> paths, Calls calls);
  FileWatch(boost::asio::io_context& io, std::vector<std::string> paths, Calls calls, Pace pace);
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;
  ~FileWatch();
  // From now on, with one call of `changed` for what changed before. An error: there are no events, only the looks.
  [[nodiscard]] base::Status start();
  // The looks alone, as where start() fails.
  void start_without_events();
  void cancel();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace soleroute::gateway::host
