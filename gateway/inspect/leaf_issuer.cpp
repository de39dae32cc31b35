// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/leaf_issuer.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <utility>

namespace soleroute::gateway::inspect {

namespace asio = boost::asio;

// One flow that waits on its own thread for the issuer's. The timer is the flow's and never expires by itself: it is
// what is woken. A flow that is destroyed while it waits leaves, and nothing is sent to its loop any more.
class LeafIssuer::Waiter : public std::enable_shared_from_this<Waiter> {
 public:
  explicit Waiter(asio::steady_timer& timer) : timer_(&timer) {}

  // On the issuer's thread. The loop is there as long as the flow is.
  void answer(Answer answer) {
    const std::lock_guard lock(mutex_);
    if (timer_ == nullptr) return;
    answer_ = std::move(answer);
    asio::post(timer_->get_executor(), [self = shared_from_this()] { self->wake(); });
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    timer_ = nullptr;
  }
  [[nodiscard]] Answer take() {
    const std::lock_guard lock(mutex_);
    return std::move(answer_);
  }

 private:
  void wake() {
    const std::lock_guard lock(mutex_);
    if (timer_ != nullptr) timer_->expires_at(asio::steady_timer::time_point::min());
  }

  std::mutex mutex_;
  asio::steady_timer* timer_;
  Answer answer_ = base::system_error("the wait for a certificate was broken off");
};

LeafIssuer::LeafIssuer(Authority authority, KeyPtr leaf_key, LeafLimits limits, Clock clock)
    : authority_(std::move(authority)),
      leaf_key_(std::move(leaf_key)),
      limits_(limits),
      clock_(std::move(clock)),
      inspections_(limits.kept),
      refusals_(limits.kept) {}

base::Result<std::shared_ptr<LeafIssuer>> LeafIssuer::start(Authority authority, LeafLimits limits, Clock clock) {
  SR_LET(key, make_key());
  auto issuer =
      std::unique_ptr<LeafIssuer>(new LeafIssuer(std::move(authority), std::move(*key), limits, std::move(clock)));
  // Signals are the controlling thread's.
  sigset_t all{};
  sigset_t before{};
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  issuer->thread_ = std::thread([raw = issuer.get()] { raw->run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return issuer;
}

LeafIssuer::~LeafIssuer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  asked_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::uint64_t LeafIssuer::signed_count() const {
  const std::lock_guard lock(mutex_);
  return signed_count_;
}

std::shared_ptr<const Leaf> LeafIssuer::kept(const Order& order) {
  const TimePoint now = clock_();
  const std::lock_guard lock(mutex_);
  return cache_of(order).find(order.name.text(), now);
}

std::optional<LeafIssuer::Answer> LeafIssuer::ask(const Order& order, std::shared_ptr<Waiter> waiter) {
  const TimePoint now = clock_();
  const std::string key = order.key();
  {
    const std::lock_guard lock(mutex_);
    // It may have been made since the caller looked.
    if (auto ready = cache_of(order).find(order.name.text(), now)) return Answer(std::move(ready));
    const auto line = waiting_.find(key);
    if (line != waiting_.end()) {
      line->second.push_back(std::move(waiter));
      return std::nullopt;
    }
    if (waiting_.size() >= limits_.waiting) {
      return Answer(base::system_error("too many certificate requests at once; try again"));
    }
    waiting_[key].push_back(std::move(waiter));
    queue_.push_back(order);
  }
  asked_.notify_one();
  return std::nullopt;
}

asio::awaitable<base::Result<std::shared_ptr<const Leaf>>> LeafIssuer::leaf_for(base::HostName name, LeafUse use) {
  const Order order{std::move(name), use};
  if (auto ready = kept(order)) co_return ready;
  asio::steady_timer timer(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  const auto waiter = std::make_shared<Waiter>(timer);
  const struct Leaving {
    Waiter& waiter;
    ~Leaving() { waiter.leave(); }
  } leaving{*waiter};
  if (auto answer = ask(order, waiter)) co_return std::move(*answer);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return waiter->take();
}

std::shared_ptr<const std::string> LeafIssuer::revocation_list() {
  const TimePoint now = clock_();
  const std::lock_guard lock(list_mutex_);
  const bool fresh = now >= list_made_ && now < list_made_ + kLeafRenewal;  // unless the clock was set back
  if (list_ && fresh) return list_;
  const auto made = authority_.revocation_list(now);
  if (!made || made->empty()) return nullptr;
  list_ = std::make_shared<const std::string>(*made);
  list_made_ = now;
  return list_;
}

LeafIssuer::Answer LeafIssuer::sign(const Order& order) {
  const TimePoint now = clock_();
  SR_LET(leaf, authority_.issue(order.name, *leaf_key_, now, order.use));
  X509& certificate = *leaf->certificate;
  const TimePoint from = valid_from(certificate);
  const TimePoint until = std::min(now + kLeafRenewal, valid_until(certificate));
  auto shared = std::make_shared<const Leaf>(std::move(*leaf));
  const std::lock_guard lock(mutex_);
  ++signed_count_;
  cache_of(order).put(order.name.text(), {shared, from, until});
  return shared;
}

void LeafIssuer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    asked_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const Order order = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    const Answer answer = sign(order);
    lock.lock();
    auto waiters = std::move(waiting_[order.key()]);
    waiting_.erase(order.key());
    lock.unlock();
    for (const auto& waiter : waiters) waiter->answer(answer);
    waiters.clear();
    lock.lock();
  }
}

}  // namespace soleroute::gateway::inspect
