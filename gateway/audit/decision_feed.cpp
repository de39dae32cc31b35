// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/decision_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace soleroute::gateway::audit {

void DecisionFeed::decision(const DecisionRecord& record) {
  std::string line = to_json_line(record, std::chrono::system_clock::now());
  line.insert(0, R"({"decision":)");
  line.insert(line.size() - 1, "}");
  const std::lock_guard lock(mutex_);
  for (Reader* const reader : readers_) reader->queue(line);
  remembered_[next_] = std::move(line);
  next_ = (next_ + 1) % kRemembered;
}

void DecisionFeed::say(std::string_view line) {
  const std::lock_guard lock(mutex_);
  for (Reader* const reader : readers_) reader->queue(line);
}

std::unique_ptr<DecisionFeed::Reader> DecisionFeed::read(News news) {
  auto reader = std::make_unique<Reader>(*this, std::move(news));
  const std::lock_guard lock(mutex_);
  if (readers_.size() == kMaxReaders) {
    reader->told_ = true;
    return nullptr;
  }
  for (std::size_t i = 0; i < kRemembered; ++i) {
    if (const auto& line = remembered_[(next_ + i) % kRemembered]; !line.empty()) reader->queue(line);
  }
  readers_.push_back(reader.get());
  return reader;
}

std::size_t DecisionFeed::readers() const {
  const std::lock_guard lock(mutex_);
  return readers_.size();
}

DecisionFeed::Reader::~Reader() {
  const std::lock_guard lock(feed_.mutex_);
  std::erase(feed_.readers_, this);
}

std::string DecisionFeed::Reader::take() {
  const std::lock_guard lock(feed_.mutex_);
  told_ = false;
  if (lost_ > 0) unread_ += fmt::format("{{\"lost\":{}}}\n", std::exchange(lost_, 0));
  return std::exchange(unread_, {});
}

void DecisionFeed::Reader::add(std::string_view line) {
  const std::lock_guard lock(feed_.mutex_);
  queue(line);
}

void DecisionFeed::Reader::queue(std::string_view line) {
  if (lost_ > 0 || unread_.size() + line.size() > kMaxUnreadBytes) {
    ++lost_;
  } else {
    unread_ += line;
  }
  if (!std::exchange(told_, true)) news_();
}

}  // namespace soleroute::gateway::audit
