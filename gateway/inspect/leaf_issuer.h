// The source of leaves: signed on a thread of its own, once for all who ask for a name, and kept.
// Thread-safe. Every awaitable that it gave out ends or is destroyed before it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "gateway/inspect/authority.h"
#include "gateway/inspect/leaf.h"
#include "gateway/inspect/leaf_cache.h"

namespace soleroute::gateway::inspect {

struct LeafLimits {
  std::size_t kept = 1024;     // leaves for each use; about 6 KB each
  std::size_t waiting = 1024;  // names that are being signed; more are refused
};

class LeafIssuer final : public LeafSource {
 public:
  using Clock = std::function<TimePoint()>;

  // One leaf key for the life of the process: it lies beside the CA's key, which could replace it at any time, so a key
  // for each name would protect nothing; and no two processes have the same.
  [[nodiscard]] static base::Result<std::shared_ptr<LeafIssuer>> start(Authority authority, LeafLimits limits = {},
                                                                       Clock clock = std::chrono::system_clock::now);
  ~LeafIssuer() override;

  [[nodiscard]] boost::asio::awaitable<base::Result<std::shared_ptr<const Leaf>>> leaf_for(base::HostName name,
                                                                                           LeafUse use) override;
  // Signed on the caller's thread, once a day.
  [[nodiscard]] std::shared_ptr<const std::string> revocation_list() override;
  // Since the start.
  [[nodiscard]] std::uint64_t signed_count() const;

 private:
  using Answer = base::Result<std::shared_ptr<const Leaf>>;
  class Waiter;
  struct Order {
    base::HostName name;
    LeafUse use = LeafUse::kInspection;

    [[nodiscard]] std::string key() const { return (use == LeafUse::kRefusal ? "!" : "") + name.text(); }
  };

  LeafIssuer(Authority authority, KeyPtr leaf_key, LeafLimits limits, Clock clock);
  // The answer, where it is known at once; else the waiter is in line for it.
  std::optional<Answer> ask(const Order& order, std::shared_ptr<Waiter> waiter);
  [[nodiscard]] std::shared_ptr<const Leaf> kept(const Order& order);
  [[nodiscard]] LeafCache& cache_of(const Order& order) {
    return order.use == LeafUse::kRefusal ? refusals_ : inspections_;
  }
  Answer sign(const Order& order);  // on the issuer's thread
  void run();

  const Authority authority_;
  const KeyPtr leaf_key_;
  const LeafLimits limits_;
  const Clock clock_;

  mutable std::mutex mutex_;  // guards all below; never held while signing
  std::condition_variable asked_;
  LeafCache inspections_;
  LeafCache refusals_;  // apart, so that refusals push out no leaf of an allowed host
  std::deque<Order> queue_;
  std::unordered_map<std::string, std::vector<std::shared_ptr<Waiter>>> waiting_;  // by Order::key()
  std::uint64_t signed_count_ = 0;
  bool stopping_ = false;

  std::mutex list_mutex_;  // guards these two
  std::shared_ptr<const std::string> list_;
  TimePoint list_made_;

  std::thread thread_;
};

}  // namespace soleroute::gateway::inspect
