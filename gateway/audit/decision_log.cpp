// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/decision_log.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "gateway/audit/json_line.h"
#include "gateway/audit/line_writer.h"
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
  if (is_probe(record)) line.boolean("probe", true);
  line.text("reason", record.reason);
  line.text("client", AddressText(record.client).view());
  line.text("host", record.host);
  line.text("scheme", record.scheme);
  if (record.port != 0) line.number("port", record.port);
  line.text("method", record.method);
  line.text("path", record.path);
  line.text("destination", record.destination);
  line.text("matched_host", record.matched_host);
  line.text("rule", record.rule);
  line.text("detail", record.detail);
  optional_number(line, "status", record.status);
  optional_number(line, "bytes_in", record.bytes_in);
  optional_number(line, "bytes_out", record.bytes_out);
  optional_number(line, "duration_ms", record.duration_ms);
  line.finish();
}

// A token bucket; thread-safe.
class DenialLimit {
 public:
  [[nodiscard]] bool admit() {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    const std::chrono::duration<double> passed = now - last_;
    last_ = now;
    tokens_ = std::min<double>(kDenialBurst, tokens_ + passed.count() * kDenialsPerSecond);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  std::mutex mutex_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  double tokens_ = kDenialBurst;
};

class JsonLog final : public DecisionLog {
 public:
  JsonLog(base::Fd stream, Verbosity verbosity, Counters* counters)
      : verbosity_(verbosity),
        writer_(std::move(stream), counters == nullptr ? nullptr : &counters->log_records_dropped) {}

  void decision(const DecisionRecord& record) override {
    if (record.allowed && verbosity_ == Verbosity::kQuiet) return;
    if (!record.allowed && !denials_.admit()) return writer_.suppress();
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

std::string to_json_line(const DecisionRecord& record, SystemClock::time_point when) {
  std::string out;
  render(out, record, when);
  return out;
}

std::unique_ptr<DecisionLog> make_json_log(base::Fd stream, Verbosity verbosity, Counters* counters) {
  return std::make_unique<JsonLog>(std::move(stream), verbosity, counters);
}

std::unique_ptr<DecisionLog> make_discarding_log() {
  return std::make_unique<DiscardingLog>();
}

}  // namespace soleroute::gateway::audit
