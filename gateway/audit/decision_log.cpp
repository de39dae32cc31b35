// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/decision_log.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "gateway/audit/json_line.h"
#include "gateway/audit/line_writer.h"
#include "gateway/audit/log_line.h"
#include "gateway/audit/log_text.h"
#include "gateway/audit/probe.h"

namespace soleroute::gateway::audit {
namespace {

using SystemClock = std::chrono::system_clock;

// "192.0.2.1" without allocating for IPv4, the common case of a hot path; empty for the unspecified address.
class AddressText {
 public:
  explicit AddressText(const base::IpAddress& address) {
    if (address == base::IpAddress{}) return;
    if (address.is_v6()) {
      long_ = address.to_string();
      return;
    }
    for (const std::uint8_t byte : address.bytes()) put(byte);
  }
  [[nodiscard]] std::string_view view() const {
    return long_.empty() ? std::string_view(short_.data(), used_) : std::string_view(long_);
  }

 private:
  void put(unsigned byte) {
    if (used_ > 0) short_[used_++] = '.';
    if (byte >= 100) short_[used_++] = static_cast<char>('0' + byte / 100);
    if (byte >= 10) short_[used_++] = static_cast<char>('0' + byte / 10 % 10);
    short_[used_++] = static_cast<char>('0' + byte % 10);
  }
  std::array<char, 16> short_{};
  std::size_t used_ = 0;
  std::string long_;
};

template <class T>
void optional_number(JsonLine& line, std::string_view key, const std::optional<T>& value) {
  if (value) line.number(key, static_cast<std::int64_t>(*value));
}

void render(std::string& out, const DecisionRecord& record, SystemClock::time_point when) {
  JsonLine line(out, when, "decision");
  line.text("phase", policy::to_string(record.phase));
  line.text("action", record.allowed ? "allowed" : "blocked");
  if (record.observed) line.boolean("observed", true);
  if (record.ech) line.boolean("ech", true);
  if (is_probe(record)) line.boolean("probe", true);
  line.text("reason", record.reason);
  line.text("client", AddressText(record.client).view());
  line.text("agent", record.agent);
  line.text("host", record.host);
  line.text("scheme", record.scheme);
  if (record.port != 0) line.number("port", record.port);
  line.text("method", record.method);
  line.text("path", record.path);
  line.text("destination", record.destination);
  line.text("resolved", record.resolved);
  line.text("matched_host", record.matched_host);
  line.text("rule", record.rule);
  line.text("detail", record.detail);
  optional_number(line, "status", record.status);
  optional_number(line, "bytes_in", record.bytes_in);
  optional_number(line, "bytes_out", record.bytes_out);
  optional_number(line, "duration_ms", record.duration_ms);
  line.finish();
}

using SteadyClock = std::chrono::steady_clock;

// Tokens by the second, up to a burst.
struct Bucket {
  [[nodiscard]] bool take(SteadyClock::time_point now, int per_second, int burst) {
    const std::chrono::duration<double> passed = now - last;
    last = now;
    tokens = std::min<double>(burst, tokens + passed.count() * per_second);
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  }
  double tokens;
  SteadyClock::time_point last = SteadyClock::now();
};

// Thread-safe. Bounded: when there are too many clients, those that have been refused nothing for a while make room.
class DenialLimit {
 public:
  [[nodiscard]] bool admit(const base::IpAddress& client) {
    const auto now = SteadyClock::now();
    const std::lock_guard lock(mutex_);
    return own_of(client, now) ||
           common_.take(now, kDenialsPerSecond - kOwnDenialsPerSecond, kDenialBurst - kOwnDenialBurst);
  }

 private:
  bool own_of(const base::IpAddress& client, SteadyClock::time_point now) {
    auto mine = own_.find(client);
    if (mine == own_.end() && !has_room(now)) return false;
    if (mine == own_.end()) mine = own_.emplace(client, Bucket{kOwnDenialBurst, now}).first;
    return mine->second.take(now, kOwnDenialsPerSecond, kOwnDenialBurst);
  }

  bool has_room(SteadyClock::time_point now) {
    if (own_.size() < kMaxDeniedClients) return true;
    std::erase_if(own_, [now](const auto& one) { return now - one.second.last > kForgotten; });
    return own_.size() < kMaxDeniedClients;
  }

  // By then its bucket is full again.
  static constexpr std::chrono::seconds kForgotten{kOwnDenialBurst / kOwnDenialsPerSecond + 1};
  std::mutex mutex_;
  std::unordered_map<base::IpAddress, Bucket> own_;
  Bucket common_{kDenialBurst - kOwnDenialBurst};
};

class JsonLog final : public DecisionLog {
 public:
  JsonLog(base::Fd stream, Verbosity verbosity, Counters* counters, LineWriter::Shown shown)
      : verbosity_(verbosity),
        writer_(std::move(stream), counters == nullptr ? nullptr : &counters->log_records_dropped,
                counters == nullptr ? nullptr : &counters->log_fault, std::move(shown)) {}

  void decision(const DecisionRecord& record) override {
    if (record.allowed && verbosity_ == Verbosity::kQuiet) return;
    if (!record.allowed && !denials_.admit(record.client)) return writer_.suppress(record.client.to_string());
    std::string& out = buffer();
    render(out, record, SystemClock::now());
    writer_.write(out);
  }

  void lifecycle(std::string_view event, std::string_view detail) override {
    if (verbosity_ == Verbosity::kQuiet) return;
    std::string& out = buffer();
    JsonLine line(out, SystemClock::now(), "lifecycle");
    line.text("event", event);
    line.text("detail", detail);
    line.finish();
    writer_.write(out);
  }

  void reload(bool accepted, std::string_view detail) override {
    std::string& out = buffer();
    JsonLine line(out, SystemClock::now(), "reload");
    line.boolean("accepted", accepted);
    line.text("detail", detail);
    line.finish();
    writer_.write(out);
  }

  void error(std::string_view message) override {
    std::string& out = buffer();
    JsonLine line(out, SystemClock::now(), "error");
    line.text("message", message);
    line.finish();
    writer_.write(out);
  }

  void debug(std::string_view message) override {
    if (verbosity_ != Verbosity::kDebug) return;
    std::string& out = buffer();
    JsonLine line(out, SystemClock::now(), "debug");
    line.text("message", message);
    line.finish();
    writer_.write(out);
  }

 private:
  // Grows to the longest line of this thread and is then reused.
  static std::string& buffer() {
    thread_local std::string buffer;
    return buffer;
  }

  Verbosity verbosity_;
  DenialLimit denials_;
  LineWriter writer_;
};

class DiscardingLog final : public DecisionLog {
 public:
  void decision(const DecisionRecord&) override {}
  void lifecycle(std::string_view, std::string_view) override {}
  void reload(bool, std::string_view) override {}
  void error(std::string_view) override {}
};

}  // namespace

void DecisionLog::debug(std::string_view /*message*/) {}

std::string to_json_line(const DecisionRecord& record, SystemClock::time_point when) {
  std::string out;
  render(out, record, when);
  return out;
}

std::unique_ptr<DecisionLog> make_json_log(base::Fd stream, Verbosity verbosity, Counters* counters) {
  return std::make_unique<JsonLog>(std::move(stream), verbosity, counters, LineWriter::Shown{});
}

std::unique_ptr<DecisionLog> make_text_log(base::Fd stream, Verbosity verbosity, bool colour, Counters* counters) {
  const auto shown = [colour](std::string_view json) {
    const auto line = parse_log_line(json);
    return line ? log_text(*line, colour) + "\n" : std::string(json);
  };
  return std::make_unique<JsonLog>(std::move(stream), verbosity, counters, shown);
}

std::unique_ptr<DecisionLog> make_discarding_log() {
  return std::make_unique<DiscardingLog>();
}

}  // namespace soleroute::gateway::audit
