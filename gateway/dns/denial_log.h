// The decision log for denials of DNS and of packets: identical ones are written once and counted.
// One per worker, on its io_context; the counts are told by a timer that runs only while there are any.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "gateway/audit/decision_log.h"
#include "gateway/dns/repeat_filter.h"

namespace soleroute::gateway::dns {

class DenialLog {
 public:
  DenialLog(boost::asio::io_context& io, audit::DecisionLog& log);
  DenialLog(const DenialLog&) = delete;
  DenialLog& operator=(const DenialLog&) = delete;
  ~DenialLog();  // tells what is still held back

  RepeatFilter::Verdict write(const audit::DecisionRecord& record);
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace soleroute::gateway::dns
