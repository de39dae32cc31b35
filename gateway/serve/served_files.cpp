// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/served_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace soleroute::gateway::serve {
namespace {

bool same(const ServedFiles::Layers& one, const ServedFiles::Layers& other) {
  return std::ranges::equal(one, other, [](const policy::PolicySource& left, const policy::PolicySource& right) {
    return left.name == right.name && left.text == right.text;
  });
}

}  // namespace

base::Result<ServedFiles::Layers> ServedFiles::read(Why why) {
  const auto now = Clock::now();
  auto layers = calls_.read();
  remember(layers, why, now);
  return layers;
}

void ServedFiles::remember(const base::Result<Layers>& read, Why why, Clock::time_point at) {
  why_ = why;
  read_at_ = at;
  said_ = read ? Said{*read, {}} : Said{{}, read.error().message};
}

std::optional<host::MountFault> ServedFiles::accepted() {
  refused_ = false;
  said_.reset();
  return host::mount_fault(paths_, std::exchange(accepted_at_, read_at_));
}

void ServedFiles::follow() {
  if (paths_.empty()) return;
  if (const auto started = watch_.start(); !started) {
    log_.error(fmt::format("{}; a change of a policy file is noticed every {} ms", started.error().message,
                           host::FileWatch::Pace{}.period.count()));
  }
}

void ServedFiles::look() {
  const auto now = Clock::now();
  const auto layers = calls_.read();
  if (!is_news(layers)) return say_replaced_mount();
  remember(layers, Why::kChange, now);
  calls_.put(layers);
}

bool ServedFiles::is_news(const base::Result<Layers>& read) const {
  if (refused_ && said_) {
    return read ? !said_->error.empty() || !same(*read, said_->layers) : read.error().message != said_->error;
  }
  return !read || !same(*read, calls_.in_force());
}

// The files are mounted, and the change was that what is mounted has no name any more.
void ServedFiles::say_replaced_mount() {
  const auto fault = host::mount_fault(paths_, Clock::time_point::min());
  const bool replaced = fault && fault->kind == host::MountFault::Kind::kReplaced;
  const std::string message = replaced ? fault->message : "";
  if (replaced && message != mount_message_) log_.error(message);
  mount_message_ = message;
}

void ServedFiles::say_open(const std::string& path) {
  log_.error(
      fmt::format("{} is still open for writing in another program, so it is not read. Close it there, or run: "
                  "gateway reload",
                  base::shown(path)));
}

std::chrono::seconds ServedFiles::age() const {
  return std::max(std::chrono::seconds{0}, std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - read_at_));
}

std::string_view ServedFiles::why() const {
  if (why_ == Why::kStart) return "start";
  return why_ == Why::kRequest ? "request" : "change";
}

}  // namespace soleroute::gateway::serve
