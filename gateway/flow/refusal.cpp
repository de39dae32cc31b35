// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/flow/refusal.h"

#include <vector>

#include "base/byte_reader.h"
#include "base/web_ports.h"
#include "gateway/audit/decision_record.h"

namespace soleroute::gateway::flow {
namespace {

constexpr std::chrono::milliseconds kLastWordTimeout{1000};
constexpr std::size_t kDrainBytes = 4096;
constexpr std::size_t kMaxDiscarded = 1 << 20;

std::string_view scheme_of(std::uint16_t port) {
  return port == base::kHttpsPort ? "https" : port == base::kHttpPort ? "http" : "";
}

}  // namespace

void log_refusal(Context& context, const ClientConnection& client, const Refusal& refusal) {
  if (client.self_check) return;
  audit::DecisionRecord record;
  record.phase = refusal.phase;
  record.allowed = false;
  record.reason = policy::to_string(refusal.reason);
  record.client = client.peer.address;
  record.host = refusal.host;
  record.scheme = scheme_of(client.original_destination.port);
  record.port = client.original_destination.port;
  record.matched_host = refusal.matched_host;
  record.rule = policy::place_of(refusal.rule);
  record.detail = refusal.detail;
  if (refusal.refused_address) record.resolved = refusal.refused_address->to_string();
  // Unknown inside an explicit proxy's tunnel, where only the port is.
  if (const auto destination = client.destination()) record.destination = destination->to_string();
  record.status = refusal.status;
  record.ech = refusal.ech;
  audit::write(context.log, context.counters, record);
}

boost::asio::awaitable<void> send_and_close(net::Stream& stream, std::string last_word) {
  stream.expires_after(kLastWordTimeout);
  const auto written = co_await stream.write_all(base::as_bytes(last_word));
  if (!written) co_return stream.reset();
  stream.shutdown_send();
  std::vector<std::byte> ignored(kDrainBytes);
  for (std::size_t drained = 0; drained < kMaxDiscarded;) {
    const auto count = co_await stream.read_some(ignored);
    if (!count || *count == 0) break;
    drained += *count;
  }
  stream.close();
}

boost::asio::awaitable<void> send_last_word(net::Stream& stream, std::string text) {
  if (!stream.timed_out()) co_return co_await send_and_close(stream, std::move(text));
  stream.write_last(base::as_bytes(text));
  stream.shutdown_send();
  stream.close();
}

}  // namespace soleroute::gateway::flow
