// The decision log (docs/log.md): one JSON object a line, written by its own thread, never blocking a flow.
// Thread-safe. When the reader of the stream is slow or gone, records are dropped and counted, and the next record
// written carries the count; a full disk or closed pipe never stops or opens the data path.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/ip_address.h"
#include "gateway/audit/counters.h"
#include "policy/decision.h"

namespace soleroute::gateway::audit {

// In `detail` where the destination is the gateway's own address, to which denied names lead.
inline constexpr std::string_view kOwnAddress = "this gateway";

// One decision. Strings are untrusted and escaped on writing; over-long ones are cut and marked `"truncated":true`.
struct DecisionRecord {
  policy::Phase phase = policy::Phase::kDns;
  bool allowed = false;
  bool ech = false;       // a TLS hello with another inside that is encrypted, or a GREASE that looks the same
  bool observed = false;  // not allowed, and passed all the same: the policy's mode is observe
  std::string reason;     // policy::to_string(Reason)
  base::IpAddress client;
  std::string agent{};  // whose policy decided; empty: the common one
  std::string host;
  std::string scheme;      // "", "http", "https"
  std::uint16_t port = 0;  // 0: not written
  std::string method;
  std::string path;  // without the query: queries can hold secrets
  std::string matched_host;
  std::string rule;         // "policy.yaml:12" or empty
  std::string detail;       // for people: "quic", "dns type TXT", "tcp, this gateway" (kOwnAddress)
  std::string destination;  // original destination where known, "45.33.32.66:9999"
  std::string resolved;     // with private_address: the address that the allowed name has, "10.0.0.7"
  std::optional<int> status;
  std::optional<std::uint64_t> bytes_in;   // from the client
  std::optional<std::uint64_t> bytes_out;  // to the client
  std::optional<std::int64_t> duration_ms;
};

enum class Verbosity { kQuiet, kNormal, kDebug };  // quiet: denials only

// The record as the log writes it: one JSON object and a line end.
[[nodiscard]] std::string to_json_line(const DecisionRecord& record, std::chrono::system_clock::time_point when);

class DecisionLog {
 public:
  virtual ~DecisionLog() = default;
  virtual void decision(const DecisionRecord& record) = 0;
  // type "lifecycle": "starting", "closed_rules", "healthy", "stopping", …
  virtual void lifecycle(std::string_view event, std::string_view detail) = 0;
  virtual void reload(bool accepted, std::string_view detail) = 0;
  virtual void error(std::string_view message) = 0;
  // Written with Verbosity::kDebug alone.
  virtual void debug(std::string_view message);
};

// Each client has a share of denials a second for itself. What is over it shares the rest with the other clients; then
// it is counted by client but not written, so that a client that is refused in a loop fills no disk and pushes no
// other's denial out of the log. Allowed decisions are never held back.
inline constexpr int kDenialsPerSecond = 1000;  // of one client while the others are quiet
inline constexpr int kDenialBurst = 8192;
inline constexpr int kOwnDenialsPerSecond = 100;  // of each client, whatever the others do
inline constexpr int kOwnDenialBurst = 1024;
inline constexpr std::size_t kMaxDeniedClients = 1024;  // with a share at once

// Writes to `stream` (give a duplicate of standard output). Flushes what it can within 500 ms on destruction.
// `counters` may be null; then dropped records are reported in the log alone.
[[nodiscard]] std::unique_ptr<DecisionLog> make_json_log(base::Fd stream, Verbosity verbosity,
                                                         Counters* counters = nullptr);
// The same for people: each line as `gateway watch` shows it.
[[nodiscard]] std::unique_ptr<DecisionLog> make_text_log(base::Fd stream, Verbosity verbosity, bool colour,
                                                         Counters* counters = nullptr);
[[nodiscard]] std::unique_ptr<DecisionLog> make_discarding_log();

}  // namespace soleroute::gateway::audit
