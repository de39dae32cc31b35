// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/static_names.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/hosts_file.h"
#include "base/read_file.h"
#include "policy/address_class.h"
#include "policy/special_names.h"

namespace soleroute::gateway::dns {
namespace {

bool is_own(const base::HostName& name, std::string_view own_name) {
  const auto own = base::HostName::parse(own_name);
  if (!own) return false;
  const std::string_view whole = own->text();
  return name == *own || name.text() == whole.substr(0, whole.find('.'));
}

void add(const base::IpAddress& address, std::string_view word, std::string_view own_name, HostsTable& table) {
  if (policy::is_never_suggested(address)) return;
  auto name = base::HostName::parse(word);
  if (!name || is_own(*name, own_name)) return;
  const auto kind = policy::special_name(*name);
  if (kind == policy::SpecialName::kGateway || policy::is_never_forwarded(kind)) return;
  if (table.size() == kMaxHostsNames && !table.contains(*name)) return;
  auto& addresses = table[std::move(*name)];
  const bool known = std::ranges::find(addresses, address) != addresses.end();
  if (!known && addresses.size() < kMaxHostsAddresses) addresses.push_back(address);
}

std::string own_host_name() {
  std::array<char, 256> buffer{};
  if (::gethostname(buffer.data(), buffer.size() - 1) != 0) return {};
  return buffer.data();
}

}  // namespace

HostsTable parse_hosts(std::string_view text, std::string_view own_name) {
  HostsTable table;
  base::for_each_host(
      text, [&](const base::IpAddress& address, std::string_view name) { add(address, name, own_name, table); });
  return table;
}

StaticNames::StaticNames(std::string file, std::chrono::milliseconds look_again)
    : file_(std::move(file)), look_again_(look_again) {}

void StaticNames::use(std::shared_ptr<const policy::Policy> policy) {
  const std::lock_guard lock(mutex_);
  policy_ = std::move(policy);
}

// Engines write the file anew when a container joins a network, people edit it. A file that cannot be read has no
// names.
void StaticNames::look_at_file(std::chrono::steady_clock::time_point now) {
  if (file_.empty() || (looked_ != std::chrono::steady_clock::time_point{} && now - looked_ < look_again_)) return;
  looked_ = now;
  struct stat found{};
  FileState state;
  if (::stat(file_.c_str(), &found) == 0 && S_ISREG(found.st_mode)) {
    state = {found.st_dev, found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
  }
  if (state == state_) return;
  state_ = state;
  const auto text = state == FileState{} ? base::Result<std::string>("") : base::read_file(file_, kMaxHostsBytes);
  of_file_ = text ? parse_hosts(*text, own_host_name()) : HostsTable{};
}

std::shared_ptr<const std::vector<base::IpAddress>> StaticNames::find(const base::HostName& name,
                                                                      const base::IpAddress& client) {
  const std::lock_guard lock(mutex_);
  if (policy_) {
    const auto listed = policy_->for_client(client).static_addresses(name);
    if (!listed.empty()) return std::make_shared<const std::vector<base::IpAddress>>(listed.begin(), listed.end());
  }
  look_at_file(std::chrono::steady_clock::now());
  const auto found = of_file_.find(name);
  if (found == of_file_.end()) return nullptr;
  return std::make_shared<const std::vector<base::IpAddress>>(found->second);
}

}  // namespace soleroute::gateway::dns
