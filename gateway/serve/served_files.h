// The policy files of a serving program: when and why they were read last, and whether a change on disk says anything
// new. Used on the controlling thread's event loop.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gateway/audit/decision_log.h"
#include "gateway/host/file_watch.h"
#include "gateway/host/policy_mounts.h"
#include "policy/policy.h"

namespace soleroute::gateway::serve {

class ServedFiles {
 public:
  using Layers = std::vector<policy::PolicySource>;
  enum class Why : std::uint8_t { kStart, kRequest, kChange };
  struct Calls {
    std::function<base::Result<Layers>()> read;            // the files as they are now
    std::function<const Layers&()> in_force;               // what is in force of them
    std::function<void(const base::Result<Layers>&)> put;  // to be put in force, or to be refused
  };

  // `paths`: also those of files that are not there yet.
  ServedFiles(boost::asio::io_context& io, audit::DecisionLog& log, std::vector<std::string> paths, Calls calls)
      : log_(log),
        paths_(std::move(paths)),
        calls_(std::move(calls)),
        watch_(io, paths_, {[this] { look(); }, [this](const std::string& path) { say_open(path); }}) {}

  // Remembers when and why.
  [[nodiscard]] base::Result<Layers> read(Why why);
  // What came of what was read last. The answer: why this may not be the policy that was meant.
  void refused() { refused_ = true; }
  [[nodiscard]] std::optional<host::MountFault> accepted();

  // From now on a change of a file calls `put`, unless it says what is in force, or what was refused already.
  void follow();
  void stop_following() { watch_.cancel(); }

  // Of the last reading, whatever came of it.
  [[nodiscard]] std::chrono::seconds age() const;
  [[nodiscard]] std::string_view why() const;  // "start", "request", "change"

 private:
  using Clock = std::chrono::system_clock;
  // Of a reading: the text of the files, or the error.
  struct Said {
    Layers layers;
    std::string error;
  };
  void remember(const base::Result<Layers>& read, Why why, Clock::time_point at);
  void look();
  [[nodiscard]] bool is_news(const base::Result<Layers>& read) const;
  void say_replaced_mount();
  void say_open(const std::string& path);

  audit::DecisionLog& log_;
  std::vector<std::string> paths_;
  Calls calls_;
  host::FileWatch watch_;
  Why why_ = Why::kStart;                         // of the last reading
  Clock::time_point read_at_;                     // likewise
  std::optional<Said> said_;                      // likewise, until it is accepted
  bool refused_ = false;                          // likewise
  Clock::time_point accepted_at_ = Clock::now();  // the reading that is in force
  std::string mount_message_;                     // that was said
};

}  // namespace soleroute::gateway::serve
