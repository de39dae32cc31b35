// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/subject.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/host_name.h"
#include "base/ip_address.h"
#include "base/web_ports.h"
#include "gateway/audit/suggestion.h"

namespace soleroute::gateway::watch {
namespace {

using audit::DecisionRecord;
using policy::Reason;

bool is(const DecisionRecord& record, Reason reason) {
  return record.reason == policy::to_string(reason);
}

// A name without a dot is written as a URL: alone it would name a service.
std::string host_item(const base::HostName& host) {
  return host.text().contains('.') ? host.text() : fmt::format("https://{}/", host.text());
}

std::optional<std::string> endpoint_item(const DecisionRecord& record) {
  const bool tcp = record.phase != policy::Phase::kPacket || record.detail.starts_with("tcp");
  if (!tcp) return std::nullopt;  // an item of `gateway allow` is TCP
  const auto host = base::HostName::parse(record.host);
  if (host && host->text().contains('.') && record.port != 0) return fmt::format("{}:{}", host->text(), record.port);
  const auto address = base::IpAddress::parse(record.host);
  if (address && record.port != 0) return base::Endpoint{*address, record.port}.to_string();
  const auto destination = base::Endpoint::parse(record.destination);
  if (!record.host.empty() || !destination || destination->port == 0) return std::nullopt;
  return destination->to_string();
}

// The path alone: characters that a URL there cannot have, or that would say more than the path did.
std::optional<std::string> url_item(const DecisionRecord& record, const base::HostName& host) {
  const bool web = record.scheme == "http" || record.scheme == "https";
  const auto is_plain = [](char c) {
    return c > ' ' && c < '\x7f' && std::string_view("?#\"\\").find(c) == std::string_view::npos;
  };
  const bool path = record.path.size() > 1 && record.path.starts_with('/') && !record.path.ends_with('/') &&
                    std::ranges::all_of(record.path, is_plain);
  if (!web || !path) return std::nullopt;
  return fmt::format("{}://{}{}", record.scheme, host.text(), record.path);
}

}  // namespace

std::optional<std::string> subject_of(const DecisionRecord& refused) {
  if (refused.allowed || !audit::is_curable(refused)) return std::nullopt;
  if (is(refused, Reason::kEndpointNotAllowed) || is(refused, Reason::kNoSni)) return endpoint_item(refused);
  const auto host = base::HostName::parse(refused.host);
  if (!host) return std::nullopt;
  if (is(refused, Reason::kNoRuleMatched)) return url_item(refused, *host);
  if (!is(refused, Reason::kHostNotAllowed)) return std::nullopt;
  if (refused.port == 0 || base::is_web_port(refused.port)) return host_item(*host);
  return host->text().contains('.') ? std::optional(fmt::format("{}:{}", host->text(), refused.port)) : std::nullopt;
}

}  // namespace soleroute::gateway::watch
