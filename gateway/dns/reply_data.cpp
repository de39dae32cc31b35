// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/dns/reply_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <span>
#include <utility>

#include "policy/address_class.h"
#include "policy/decision.h"

namespace soleroute::gateway::dns {
namespace {

using sniffer::DnsQuery;
using sniffer::DnsRcode;
using sniffer::DnsReply;
using sniffer::DnsType;

constexpr std::size_t kShownName = 100;  // bytes of a name in an extended error; longer names lose their beginning

// Below a name that is listed alone, `_service._proto` is all that can be asked: data in names has no room there.
constexpr std::size_t kMaxServiceLabels = 2;
constexpr std::size_t kLongestServiceLabel = 16;

template <class Number>
std::optional<Number> number_in(std::string_view text, int base, std::size_t most_digits) {
  Number number{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  const bool whole = fault == std::errc{} && end == text.data() + text.size() && text.size() <= most_digits;
  const bool padded = text.size() > 1 && text.front() == '0' && base == 10;
  return whole && !padded ? std::optional(number) : std::nullopt;
}

}  // namespace

base::HostName named_by(const base::HostName& name, DnsType type, const policy::Policy& policy) {
  if (type != DnsType::kSrv && type != DnsType::kTxt) return name;
  std::string_view rest = name.text();
  for (std::size_t labels = 0; rest.starts_with('_'); ++labels) {
    const auto dot = rest.find('.');
    if (labels == kMaxServiceLabels || dot == std::string_view::npos || dot > kLongestServiceLabel) return name;
    rest.remove_prefix(dot + 1);
  }
  auto owner = base::HostName::parse(rest);
  if (!owner || *owner == name) return name;
  policy::FlowFacts facts;
  facts.host = name;
  return policy.decide_itself(facts).allowed() ? name : *owner;
}

std::optional<base::IpAddress> reversed(const base::HostName& name) {
  constexpr std::string_view kV4 = ".in-addr.arpa";
  constexpr std::string_view kV6 = ".ip6.arpa";
  std::string_view rest = name.text();
  const bool v4 = rest.ends_with(kV4);
  if (!v4 && !rest.ends_with(kV6)) return std::nullopt;
  rest.remove_suffix(v4 ? kV4.size() : kV6.size());
  std::array<std::uint8_t, 32> parts{};  // the last part of the address first
  const std::size_t wanted = v4 ? 4 : 32;
  std::size_t count = 0;
  for (; !rest.empty() && count < wanted; ++count) {
    const auto label = rest.substr(0, rest.find('.'));
    const auto part = number_in<std::uint8_t>(label, v4 ? 10 : 16, v4 ? 3 : 1);
    if (!part) return std::nullopt;
    parts[count] = *part;
    rest.remove_prefix(std::min(label.size() + 1, rest.size()));
  }
  if (count != wanted || !rest.empty()) return std::nullopt;
  if (v4) return base::IpAddress::v4({parts[3], parts[2], parts[1], parts[0]});
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[15 - i] = static_cast<std::uint8_t>(parts[2 * i] | parts[2 * i + 1] << 4U);
  }
  return base::IpAddress::v6(bytes);
}

std::vector<std::byte> wire_of(const sniffer::DnsName& name) {
  const auto bytes = base::as_bytes(name.wire());
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> rdata_of(const sniffer::DnsService& location) {
  std::vector<std::byte> out;
  for (const unsigned field : {location.priority, location.weight, location.port}) {
    out.push_back(static_cast<std::byte>(field >> 8U));
    out.push_back(static_cast<std::byte>(field & 0xffU));
  }
  const auto target = wire_of(location.target);
  out.insert(out.end(), target.begin(), target.end());
  return out;
}

bool is_meta(DnsType type) {
  const auto number = static_cast<std::uint16_t>(type);
  constexpr std::uint16_t kFirst = 249;
  constexpr std::uint16_t kLast = 254;
  return type == DnsType::kOpt || (number >= kFirst && number <= kLast);
}

bool is_address(DnsType type) {
  return type == DnsType::kA || type == DnsType::kAaaa;
}

std::vector<std::byte> rdata_of(const base::IpAddress& address) {
  const auto bytes = std::as_bytes(address.bytes());
  return {bytes.begin(), bytes.end()};
}

DnsReply negative(DnsRcode rcode, std::uint32_t ttl, MaybeError error) {
  return {.rcode = rcode, .answers = {}, .negative_ttl = ttl, .error = std::move(error)};
}
DnsReply bare(DnsRcode rcode, MaybeError error) {
  return {.rcode = rcode, .answers = {}, .negative_ttl = std::nullopt, .error = std::move(error)};
}

std::vector<std::byte> truncated_reply(const DnsQuery& query, std::size_t limit) {
  constexpr std::size_t kFlags = 2;
  constexpr std::byte kTruncated{0x02};
  auto reply = sniffer::build_dns_reply(query, bare(DnsRcode::kNoError), limit);
  reply[kFlags] |= kTruncated;
  return reply;
}

std::string shown(const base::HostName& name) {
  const std::string& text = name.text();
  return text.size() <= kShownName ? text : "..." + text.substr(text.size() - kShownName + 3);
}

std::string filtered_text(const base::HostName& name, const base::IpAddress& refused) {
  if (const auto range = policy::placeholder_range(refused)) {
    return fmt::format("{}: {}. Add to the policy: addresses: [{}]", shown(name), policy::kPlaceholderResolver,
                       range->to_string());
  }
  return fmt::format("{} resolves to a private address. To allow it, list the address under 'addresses:' in the policy",
                     shown(name));
}

MaybeError blocked(const DnsQuery& query, const base::HostName& name) {
  if (!query.edns) return std::nullopt;
  return sniffer::DnsExtendedError{sniffer::DnsErrorCode::kBlocked,
                                   shown(name) + " is not in the policy: http://gateway.internal/policy"};
}

MaybeError error_for(const DnsQuery& query, sniffer::DnsErrorCode code, std::string_view text) {
  if (!query.edns) return std::nullopt;
  return sniffer::DnsExtendedError{code, std::string(text)};
}

MaybeError stale(const DnsQuery& query, const RecordSet& set) {
  if (!set.stale_since) return std::nullopt;
  return error_for(query, sniffer::DnsErrorCode::kStaleAnswer, "no upstream DNS server gave an answer");
}

std::uint32_t remaining_ttl(const RecordSet& set) {
  const auto left = std::chrono::ceil<std::chrono::seconds>(set.expires - Clock::now()).count();
  return static_cast<std::uint32_t>(std::max<std::int64_t>(left, 1));
}

MaybeError upstream_error(const DnsQuery& query, std::string_view why) {
  const bool silent = why.find("no upstream DNS server") != std::string_view::npos;
  return error_for(query, silent ? sniffer::DnsErrorCode::kNoReachableAuthority : sniffer::DnsErrorCode::kNetworkError,
                   why);
}

std::string remark_on(const RecordSet& set) {
  std::string out = set.canonical.empty() ? std::string{} : "alias of " + set.canonical;
  if (!set.stale_since) return out;
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - *set.stale_since);
  return out + fmt::format("{}stale: expired {} s ago, and no upstream DNS server gave an answer",
                           out.empty() ? "" : ", ", age.count());
}

std::string type_detail(DnsType type) {
  return "dns type " + sniffer::to_string(type);
}

}  // namespace soleroute::gateway::dns
