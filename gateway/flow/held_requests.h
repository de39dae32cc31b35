// Denied requests and connections that wait for an operator's answer (`--ask`). Shared by all workers.
// Thread-safe. Bounded: what does not fit is denied at once, and so is what was refused a moment ago.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "gateway/audit/decision_log.h"
#include "policy/policy.h"

namespace soleroute::gateway::net {
class Stream;
}

namespace soleroute::gateway::flow {

struct Context;

class HeldRequests {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMost = 64;             // at once
  static constexpr std::size_t kMostOfOneClient = 16;  // at once
  static constexpr std::size_t kMaxRefusals = 256;     // remembered
  static constexpr std::chrono::seconds kRefusalKept{60};

  enum class Verdict : std::uint8_t { kOnce, kFor, kAlways, kNo, kTimeout };

  struct Request {
    std::uint64_t id = 0;
    std::string item{};  // that would allow it, as `gateway allow` takes it
    audit::DecisionRecord record = {};
    Clock::time_point until{};
  };
  // `line`: for those that watch. `asked`: of each new request, unless the client waits for the same one already. Both
  // are called on workers' threads and must not wait.
  struct Listeners {
    std::function<void(std::string_view line)> say{};
    std::function<void(const Request& request)> asked{};
  };

  HeldRequests(std::chrono::milliseconds patience, Listeners listeners)
      : patience_(patience), listeners_(std::move(listeners)) {}

  // Of the controlling thread. What waits under this number; nothing: it does not any more.
  [[nodiscard]] std::optional<Request> find(std::uint64_t id) const;
  // The answer. kNo is for everything that this client wants of the same item. `policy`: with kOnce, under which this
  // one passes. False: it does not wait any more.
  bool settle(std::uint64_t id, Verdict verdict, const std::shared_ptr<const policy::Policy>& policy = {});
  // A policy that allows it is on its way to the workers: what will then be said of it.
  void expect(std::uint64_t id, Verdict verdict);
  // Everything that waits, as lines for one who begins to watch.
  [[nodiscard]] std::string lines() const;
  [[nodiscard]] std::size_t size() const;
  // Denies everything, from now on.
  void close();

  // Of a worker, on its thread: its snapshot has changed.
  void wake(const boost::asio::io_context& worker);

  // One that waits; for await_answer() alone.
  struct Waiting;
  [[nodiscard]] std::shared_ptr<Waiting> begin(boost::asio::io_context& worker, audit::DecisionRecord record);
  void end(const std::shared_ptr<Waiting>& waiting, Verdict verdict);
  [[nodiscard]] std::optional<Verdict> verdict_of(const Waiting& waiting) const;

 private:
  struct Refusal {
    base::IpAddress client;
    std::string item;
    Clock::time_point until;
  };
  [[nodiscard]] bool is_refused(const base::IpAddress& client, std::string_view item, Clock::time_point now);
  void remember_refusal(const Request& request);
  void say_settled(std::uint64_t id, Verdict verdict) const;

  const std::chrono::milliseconds patience_;
  const Listeners listeners_;
  mutable std::mutex mutex_;
  std::uint64_t last_id_ = 0;
  bool closed_ = false;
  std::map<std::uint64_t, std::shared_ptr<Waiting>> waiting_;
  std::vector<Refusal> refusals_;
};

[[nodiscard]] std::string_view to_string(HeldRequests::Verdict verdict);

// What `gateway allow` would be asked for, so that a request with this record passes.
[[nodiscard]] std::string item_to_allow(const audit::DecisionRecord& denied);

// Denied because no line allows it: an operator may. What is wrong in itself, and what a line denies, is not asked
// about.
[[nodiscard]] bool may_be_asked(const policy::Decision& decision);

// How a wait ended.
struct OperatorAnswer {
  std::shared_ptr<const policy::Policy> policy{};  // under which it passes; null: it is denied
  bool once = false;                               // that policy is for this one alone
};

// Waits. `passes` asks a policy the flow's own question. `has_left`: the client is gone, and with it the question.
// Precondition: context.held.
[[nodiscard]] boost::asio::awaitable<OperatorAnswer> await_answer(Context& context, audit::DecisionRecord record,
                                                                  std::function<bool(const policy::Policy&)> passes,
                                                                  std::function<bool()> has_left);

// Nothing more can come from the client: it has closed, or ended its sending side.
[[nodiscard]] bool has_left(net::Stream& stream);

}  // namespace soleroute::gateway::flow
