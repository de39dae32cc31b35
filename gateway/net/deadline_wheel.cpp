// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/net/deadline_wheel.h"

#include <algorithm>
#include <utility>

namespace soleroute::gateway::net {

void Deadline::arm(DeadlineWheel& wheel, std::chrono::milliseconds from_now) {
  const auto due = Clock::now() + from_now;
  if (wheel_ != nullptr && due >= due_) {  // found in its old slot later, and put off from there
    due_ = due;
    return;
  }
  disarm();
  due_ = due;
  wheel_ = &wheel;
  wheel.schedule();
  wheel.insert(*this);
  ++wheel.armed_;
}

void Deadline::disarm() {
  if (wheel_ == nullptr) return;
  wheel_->unlink(*this);
  --wheel_->armed_;
  wheel_ = nullptr;
}

DeadlineWheel::DeadlineWheel(boost::asio::io_context& io) : timer_(io), slots_(kDraining + 1, nullptr) {}

DeadlineWheel::~DeadlineWheel() {
  for (Deadline*& head : slots_) {
    while (head != nullptr) head->disarm();
  }
}

void DeadlineWheel::insert(Deadline& deadline) {
  const auto ahead = std::max(deadline.due_ - now_, Clock::duration::zero());
  const auto ticks = static_cast<std::size_t>(ahead / kTick) + 1;
  deadline.slot_ = (cursor_ + std::min(ticks, kSlots - 1)) % kSlots;
  Deadline*& head = slots_[deadline.slot_];
  deadline.previous_ = nullptr;
  deadline.next_ = head;
  if (head != nullptr) head->previous_ = &deadline;
  head = &deadline;
}

void DeadlineWheel::unlink(Deadline& deadline) {
  if (deadline.previous_ != nullptr) deadline.previous_->next_ = deadline.next_;
  if (deadline.previous_ == nullptr) slots_[deadline.slot_] = deadline.next_;
  if (deadline.next_ != nullptr) deadline.next_->previous_ = deadline.previous_;
  deadline.previous_ = deadline.next_ = nullptr;
}

void DeadlineWheel::schedule() {
  if (running_) return;
  running_ = true;
  if (armed_ == 0) now_ = Clock::now();  // the wheel stood still
  timer_.expires_after(kTick);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

void DeadlineWheel::tick() {
  running_ = false;
  const auto now = Clock::now();
  // One slot a tick; when the loop was held up, as many as time has passed, at most one round.
  const auto behind = std::clamp<std::size_t>(static_cast<std::size_t>((now - now_) / kTick), 1, kSlots);
  now_ = now;
  for (std::size_t step = 0; step < behind; ++step) {
    cursor_ = (cursor_ + 1) % kSlots;
    drain(cursor_, now);
  }
  if (armed_ > 0) schedule();
}

void DeadlineWheel::drain(std::size_t slot, Clock::time_point now) {
  std::swap(slots_[kDraining], slots_[slot]);
  for (Deadline* d = slots_[kDraining]; d != nullptr; d = d->next_) d->slot_ = kDraining;
  while (slots_[kDraining] != nullptr) {
    Deadline& deadline = *slots_[kDraining];
    unlink(deadline);
    if (deadline.due_ > now) {  // put off since, or more than one round away
      insert(deadline);
      continue;
    }
    --armed_;
    deadline.wheel_ = nullptr;
    deadline.expired();
  }
}

}  // namespace soleroute::gateway::net
