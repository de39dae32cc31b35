// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/denial_log.h"

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

namespace soleroute::gateway::dns {
namespace {

constexpr std::chrono::seconds kTellEvery{1};

}  // namespace

struct DenialLog::State : std::enable_shared_from_this<DenialLog::State> {
  State(boost::asio::io_context& io, audit::DecisionLog& decisions) : log(decisions), timer(io) {}

  void tell(RepeatFilter::Clock::time_point now) {
    for (const auto& record : filter.due(now)) log.decision(record);
  }
  void schedule() {
    if (stopped || std::exchange(running, true)) return;
    timer.expires_after(kTellEvery);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (error || !self) return;
      self->running = false;
      self->tell(RepeatFilter::Clock::now());
      if (self->filter.holding()) self->schedule();
    });
  }

  audit::DecisionLog& log;
  boost::asio::steady_timer timer;
  RepeatFilter filter;
  bool running = false;
  bool stopped = false;
};

DenialLog::DenialLog(boost::asio::io_context& io, audit::DecisionLog& log) : state_(std::make_shared<State>(io, log)) {}

DenialLog::~DenialLog() {
  stop();
}

RepeatFilter::Verdict DenialLog::write(const audit::DecisionRecord& record) {
  const auto verdict = state_->filter.admit(record, RepeatFilter::Clock::now());
  if (verdict == RepeatFilter::Verdict::kWriteNow) {
    state_->log.decision(record);
  } else {
    state_->schedule();
  }
  return verdict;
}

void DenialLog::stop() {
  if (std::exchange(state_->stopped, true)) return;
  state_->timer.cancel();
  state_->tell(RepeatFilter::Clock::now() + RepeatFilter::kWindow);
}

}  // namespace soleroute::gateway::dns
