// The latest decisions and each new one, as lines of JSON, for those that watch a running gateway.
// Thread-safe. Bounded: a slow reader loses lines and is told how many; no flow waits for a reader.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/audit/decision_log.h"

namespace soleroute::gateway::audit {

class DecisionFeed {
 public:
  static constexpr std::size_t kRemembered = 200;                       // decisions that a new reader gets first
  static constexpr std::size_t kMaxReaders = 8;                         // at once
  static constexpr std::size_t kMaxUnreadBytes = std::size_t{4} << 20;  // of one reader
  using News = std::function<void()>;

  // Ends with its destruction, which must come before that of the feed.
  class Reader {
   public:
    Reader(DecisionFeed& feed, News news) : feed_(feed), news_(std::move(news)) {}
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader();

    // The lines since the last call, each with its line end; {"lost":n} stands where n lines did not fit.
    [[nodiscard]] std::string take();
    // A line for this reader alone.
    void add(std::string_view line);

   private:
    friend class DecisionFeed;
    void queue(std::string_view line);  // under the feed's lock

    DecisionFeed& feed_;
    const News news_;
    std::string unread_;
    std::uint64_t lost_ = 0;
    bool told_ = false;
  };

  // {"decision":{…}}, with the log's own object.
  void decision(const DecisionRecord& record);
  // Any other line, with its line end: to those that read now, and not remembered.
  void say(std::string_view line);

  // `news` is called from any thread, under a lock and at most once until the next take(). Null: there are kMaxReaders.
  [[nodiscard]] std::unique_ptr<Reader> read(News news);
  [[nodiscard]] std::size_t readers() const;

 private:
  mutable std::mutex mutex_;
  std::array<std::string, kRemembered> remembered_;
  std::size_t next_ = 0;  // the oldest one, which the next decision replaces
  std::vector<Reader*> readers_;
};

// A decision log that also feeds the readers. Everything goes on to `next`; it and `feed` are borrowed.
class FeedingLog final : public DecisionLog {
 public:
  FeedingLog(DecisionLog& next, DecisionFeed& feed) : next_(next), feed_(feed) {}

  void decision(const DecisionRecord& record) override {
    feed_.decision(record);
    next_.decision(record);
  }
  void lifecycle(std::string_view event, std::string_view detail) override { next_.lifecycle(event, detail); }
  void reload(bool accepted, std::string_view detail) override { next_.reload(accepted, detail); }
  void error(std::string_view message) override { next_.error(message); }
  void debug(std::string_view message) override { next_.debug(message); }

 private:
  DecisionLog& next_;
  DecisionFeed& feed_;
};

}  // namespace soleroute::gateway::audit
