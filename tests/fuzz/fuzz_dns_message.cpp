// DNS messages from clients and from upstream servers: whatever is accepted survives being written and read again.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>
#include <span>

#include "sniffer/dns_message.h"
#include "tests/fuzz/require.h"

namespace {

using namespace soleroute;
using fuzz::require;
using namespace soleroute::sniffer;

void check_query(base::Bytes message) {
  const auto query = parse_dns_query(message);
  if (!query.complete()) return;
  const auto again = parse_dns_query(build_dns_query(query.value()));
  require(again.complete() && again.value() == query.value());

  const auto host = query.value().question.name.host_name();
  if (host) require(DnsName::from_host(*host).same_ignoring_case(query.value().question.name));
  require(query.value().question.name.with_random_case(message).same_ignoring_case(query.value().question.name));

  const DnsReply reply{.rcode = DnsRcode::kNoError, .answers = {}, .negative_ttl = 5};
  const auto response = parse_dns_response(build_dns_reply(query.value(), reply, kEdnsSize));
  require(response.complete() && response.value().question == query.value().question);
  require(response.value().negative_ttl == 5U);
}

void check_service(const ServiceBinding& service) {
  const auto written = encode_service_binding(service, [](const base::IpAddress&) { return true; });
  const auto again = parse_service_binding(written);
  require(again.complete() && !again.value().has_ech && !again.value().port);
  require(again.value().alpn == service.alpn && again.value().hints.size() == service.hints.size());
  require(reduced(again.value()).has_value());
}

void check_response(base::Bytes message) {
  const auto response = parse_dns_response(message);
  if (!response.complete()) return;
  require(response.value().answers.size() <= kMaxDnsRecords);
  const auto answer = answer_of(response.value());
  if (!answer.complete()) return;
  require(answer.value().addresses.size() <= kMaxDnsAddresses);
  for (const auto& service : answer.value().services) check_service(service);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = std::as_bytes(std::span(data, size));
  check_query(message);
  check_response(message);
  return 0;
}
