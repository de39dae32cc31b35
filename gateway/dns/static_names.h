// Names with addresses that people wrote down: `hosts:` of the policy, and the hosts file of this machine. They are
// answered instead of what upstream would say; the policy decides about them as about any name.
// Thread-safe (one lock, held while the file is read again).
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "policy/policy.h"

namespace soleroute::gateway::dns {

using HostsTable = std::map<base::HostName, std::vector<base::IpAddress>>;

inline constexpr std::size_t kMaxHostsBytes = std::size_t{1} << 20;  // read of a hosts file
inline constexpr std::size_t kMaxHostsNames = 4096;                  // kept of it
inline constexpr std::size_t kMaxHostsAddresses = 16;                // kept of one name

// hosts(5). Left out: addresses of loopback and the like (policy::is_never_suggested), this machine's own name
// (`own_name`, whole or its first label), special-use names, and lines that are none.
[[nodiscard]] HostsTable parse_hosts(std::string_view text, std::string_view own_name);

class StaticNames {
 public:
  static constexpr std::chrono::seconds kTtl{30};       // of an answer
  static constexpr std::chrono::seconds kLookAgain{1};  // the file's state is asked for no more often

  // `file`: path of a hosts file; empty: none.
  explicit StaticNames(std::string file = {}, std::chrono::milliseconds look_again = kLookAgain);
  // Those of this policy from now on.
  void use(std::shared_ptr<const policy::Policy> policy);
  // For this client, whose policy may list others than that of its neighbours. Null: this name has none.
  [[nodiscard]] std::shared_ptr<const std::vector<base::IpAddress>> find(const base::HostName& name,
                                                                         const base::IpAddress& client = {});

 private:
  struct FileState {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    bool operator==(const FileState&) const = default;
  };
  void look_at_file(std::chrono::steady_clock::time_point now);

  std::mutex mutex_;
  std::string file_;
  std::chrono::milliseconds look_again_;
  std::shared_ptr<const policy::Policy> policy_;
  FileState state_;
  std::chrono::steady_clock::time_point looked_{};
  HostsTable of_file_;
};

}  // namespace soleroute::gateway::dns
