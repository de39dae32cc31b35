// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/log_line.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "gateway/audit/probe.h"

namespace soleroute::gateway::audit {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

template <class Number>
std::optional<Number> number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer() || !std::in_range<Number>(found->get<std::int64_t>())) {
    return std::nullopt;
  }
  return static_cast<Number>(found->get<std::int64_t>());
}

std::optional<policy::Phase> phase_of(std::string_view text) {
  for (const auto phase : {policy::Phase::kDns, policy::Phase::kTls, policy::Phase::kHttp, policy::Phase::kConnect,
                           policy::Phase::kPacket}) {
    if (policy::to_string(phase) == text) return phase;
  }
  return std::nullopt;
}

std::optional<LineType> type_of(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, LineType>, 4> kTypes{{{"decision", LineType::kDecision},
                                                                         {"reload", LineType::kReload},
                                                                         {"lifecycle", LineType::kLifecycle},
                                                                         {"error", LineType::kError}}};
  for (const auto& [name, type] : kTypes) {
    if (name == text) return type;
  }
  return std::nullopt;
}

std::optional<DecisionRecord> decision_of(const Json& object) {
  const auto phase = phase_of(text_of(object, "phase"));
  const std::string action = text_of(object, "action");
  if (!phase || (action != "allowed" && action != "blocked")) return std::nullopt;
  DecisionRecord record;
  record.phase = *phase;
  record.allowed = action == "allowed";
  record.observed = object.value("observed", Json(false)) == Json(true);
  record.ech = object.value("ech", Json(false)) == Json(true);
  if (const auto client = base::IpAddress::parse(text_of(object, "client"))) record.client = *client;
  record.reason = text_of(object, "reason");
  record.agent = text_of(object, "agent");
  record.host = text_of(object, "host");
  record.scheme = text_of(object, "scheme");
  record.port = number_of<std::uint16_t>(object, "port").value_or(0);
  record.method = text_of(object, "method");
  record.path = text_of(object, "path");
  record.matched_host = text_of(object, "matched_host");
  record.rule = text_of(object, "rule");
  record.detail = text_of(object, "detail");
  record.destination = text_of(object, "destination");
  record.resolved = text_of(object, "resolved");
  record.status = number_of<int>(object, "status");
  record.duration_ms = number_of<std::int64_t>(object, "duration_ms");
  return record;
}

}  // namespace

std::optional<LogLine> parse_log_line(std::string_view line) {
  const auto brace = line.find('{');
  if (line.size() > kMaxLogLine || brace == std::string_view::npos) return std::nullopt;
  const Json object = Json::parse(line.substr(brace), nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const auto type = type_of(text_of(object, "type"));
  if (!type) return std::nullopt;
  LogLine out;
  out.ts = text_of(object, "ts");
  out.type = *type;
  out.event = text_of(object, "event");
  out.text = text_of(object, *type == LineType::kError ? "message" : "detail");
  out.accepted = object.value("accepted", Json(true)) == Json(true);
  if (*type != LineType::kDecision) return out;
  auto decision = decision_of(object);
  if (!decision) return std::nullopt;
  out.decision = std::move(*decision);
  out.probe = is_probe(out.decision);  // by what it says: whoever wrote the mark may be anybody
  return out;
}

}  // namespace soleroute::gateway::audit
