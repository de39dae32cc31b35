// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/descriptor_budget.h"

#include <algorithm>

namespace soleroute::gateway::net {
namespace {

constexpr std::size_t kFewAtLeast = 8;

}  // namespace

DescriptorBudget::DescriptorBudget(std::size_t descriptors, ClientKeys keys)
    : capacity_(descriptors),
      reserve_(keys.all_are_one() ? 0 : std::min(kMaxReserve, descriptors / 4)),
      few_(std::max(kFewAtLeast, reserve_ / 4)),
      keys_(std::move(keys)) {}

base::IpAddress DescriptorBudget::key(const base::IpAddress& client) {
  return keys_.of(client, ClientKeys::Clock::now());
}

std::optional<DescriptorBudget::Charge> DescriptorBudget::connection(const base::IpAddress& client) {
  return take(client, true, 1);
}

std::optional<DescriptorBudget::Charge> DescriptorBudget::descriptors(const base::IpAddress& client, unsigned count) {
  return take(client, false, count);
}

std::optional<DescriptorBudget::Charge> DescriptorBudget::take(const base::IpAddress& client, bool connection,
                                                               unsigned count) {
  const auto mine = accounts_.try_emplace(key(client)).first;
  Account& account = mine->second;
  Account after = account;
  (connection ? after.connections : after.others) += count;
  const std::size_t held = held_ - account.cost() + after.cost();
  const bool grows = held > held_;
  const bool fits = held <= capacity_ - reserve_ || (held <= capacity_ && after.cost() <= few_);
  if (grows && !fits) {
    if (account.cost() == 0) accounts_.erase(mine);
    return std::nullopt;
  }
  account = after;
  held_ = held;
  Charge charge;
  charge.budget_ = this;
  charge.account_ = &*mine;
  charge.connection_ = connection;
  charge.count_ = count;
  return charge;
}

void DescriptorBudget::Charge::release() {
  DescriptorBudget* const budget = std::exchange(budget_, nullptr);
  if (budget == nullptr) return;
  Account& account = account_->second;
  budget->held_ -= account.cost();
  (connection_ ? account.connections : account.others) -= count_;
  budget->held_ += account.cost();
  if (account.connections != 0 || account.others != 0) return;
  const base::IpAddress key = account_->first;
  budget->accounts_.erase(key);
}

}  // namespace soleroute::gateway::net
