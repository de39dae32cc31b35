// A decision log that keeps its records for a test to look at. Thread-safe.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/audit/decision_log.h"

namespace soleroute::testing {

class RecordingLog final : public gateway::audit::DecisionLog {
 public:
  using Record = gateway::audit::DecisionRecord;

  void decision(const Record& record) override {
    const std::lock_guard lock(mutex_);
    records_.push_back(record);
  }
  void lifecycle(std::string_view, std::string_view) override {}
  void reload(bool, std::string_view) override {}
  void error(std::string_view message) override {
    const std::lock_guard lock(mutex_);
    errors_.emplace_back(message);
  }

  [[nodiscard]] std::vector<Record> records() const {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  [[nodiscard]] std::vector<Record> about(std::string_view host) const {
    auto found = records();
    std::erase_if(found, [&](const Record& record) { return record.host != host; });
    return found;
  }
  [[nodiscard]] std::vector<std::string> errors() const {
    const std::lock_guard lock(mutex_);
    return errors_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Record> records_;
  std::vector<std::string> errors_;
};

}  // namespace soleroute::testing
