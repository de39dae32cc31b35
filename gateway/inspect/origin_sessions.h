// TLS sessions that origins have offered to resume, by name: for one policy snapshot of one worker.
// Not thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/host_name.h"

struct ssl_session_st;  // OpenSSL's SSL_SESSION

namespace soleroute::gateway::inspect {

struct SslSessionDeleter {
  void operator()(ssl_session_st* session) const;
};
using SslSessionPtr = std::unique_ptr<ssl_session_st, SslSessionDeleter>;

class OriginSessions {
 public:
  static constexpr std::size_t kMaxNames = 512;
  static constexpr std::size_t kMaxOfName = 4;

  // The newest that can still be resumed, which is then nobody else's (RFC 8446 appendix C.4); null if there is none.
  [[nodiscard]] SslSessionPtr take(const base::HostName& name);
  void keep(const base::HostName& name, SslSessionPtr session);

 private:
  std::unordered_map<base::HostName, std::vector<SslSessionPtr>> sessions_;
};

}  // namespace soleroute::gateway::inspect
