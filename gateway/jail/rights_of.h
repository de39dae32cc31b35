// The calling process with the rights of another user over files, until the end of the scope.
// Used while the process has one thread.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "gateway/jail/credentials.h"

namespace soleroute::gateway::jail {

// Of a borrowed identity. Who is not root keeps its own rights, which are then the command's.
class RightsOf {
 public:
  explicit RightsOf(const Identity& identity);
  ~RightsOf();
  RightsOf(const RightsOf&) = delete;
  RightsOf& operator=(const RightsOf&) = delete;

  // False: not all of them could be taken, and nothing is to be opened.
  [[nodiscard]] bool complete() const { return !borrowed_ || complete_; }

  // True where the answer is not known.
  [[nodiscard]] bool may_write(const std::string& path) const;

 private:
  bool borrowed_;
  bool complete_ = false;
  uid_t uid_;
  gid_t gid_;
  std::vector<gid_t> groups_;
};

}  // namespace soleroute::gateway::jail
