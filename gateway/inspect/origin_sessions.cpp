// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/origin_sessions.h"

#include <openssl/ssl.h>

#include <utility>

namespace soleroute::gateway::inspect {

void SslSessionDeleter::operator()(SSL_SESSION* session) const {
  SSL_SESSION_free(session);
}

SslSessionPtr OriginSessions::take(const base::HostName& name) {
  const auto found = sessions_.find(name);
  if (found == sessions_.end()) return nullptr;
  SslSessionPtr newest = std::move(found->second.back());
  found->second.pop_back();
  if (found->second.empty()) sessions_.erase(found);
  return SSL_SESSION_is_resumable(newest.get()) == 1 ? std::move(newest) : nullptr;
}

void OriginSessions::keep(const base::HostName& name, SslSessionPtr session) {
  if (sessions_.size() >= kMaxNames && !sessions_.contains(name)) sessions_.erase(sessions_.begin());
  auto& mine = sessions_[name];
  if (mine.size() == kMaxOfName) mine.erase(mine.begin());
  mine.push_back(std::move(session));
}

}  // namespace soleroute::gateway::inspect
