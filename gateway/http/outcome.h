// What came of a request that was forwarded, whichever versions of HTTP carried it.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>

#include "policy/decision.h"

namespace soleroute::gateway::http {

// How a forwarded request ended.
struct Outcome {
  int status = 0;                                     // sent to the client; 0: none
  policy::Reason failure = policy::Reason::kAllowed;  // kUpstreamFailed, kTimedOut, kMalformed if it went wrong
  std::string detail{};                               // for the log: why
  std::uint64_t from_client = 0;
  std::uint64_t to_client = 0;
  bool answerable = false;  // nothing was sent, and can still be
  bool revoked = false;     // a reload has ended it
};

}  // namespace soleroute::gateway::http
