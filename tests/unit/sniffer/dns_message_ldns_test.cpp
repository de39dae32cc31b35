// The DNS parser and writer beside libldns, on messages that either of them wrote and on mutations of them.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>
#include <ldns/ldns.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "sniffer/dns_message.h"
#include "tests/support/dns_wire.h"

namespace soleroute::sniffer {
namespace {

namespace wire = testing::dns_wire;

struct PacketDeleter {
  void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
};
using Packet = std::unique_ptr<ldns_pkt, PacketDeleter>;

Packet read_with_ldns(base::Bytes bytes) {
  ldns_pkt* packet = nullptr;
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (ldns_wire2pkt(&packet, data, bytes.size()) != LDNS_STATUS_OK) return nullptr;
  return Packet(packet);
}

std::string taken(char* text) {
  const std::unique_ptr<char, decltype(&std::free)> owner(text, &std::free);
  return text != nullptr ? text : "";
}

std::vector<std::byte> wire_of(const ldns_pkt* packet) {
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  EXPECT_EQ(ldns_pkt2wire(&data, packet, &size), LDNS_STATUS_OK);
  const std::unique_ptr<std::uint8_t, decltype(&std::free)> owner(data, &std::free);
  const auto bytes = std::as_bytes(std::span(data, size));
  return {bytes.begin(), bytes.end()};
}

Packet query_by_ldns(const std::string& name, ldns_rr_type type) {
  Packet packet(ldns_pkt_query_new(ldns_dname_new_frm_str(name.c_str()), type, LDNS_RR_CLASS_IN, LDNS_RD));
  ldns_pkt_set_id(packet.get(), 4711);
  return packet;
}

void push(ldns_pkt* packet, ldns_pkt_section section, const std::string& text) {
  ldns_rr* record = nullptr;
  ASSERT_EQ(ldns_rr_new_frm_str(&record, text.c_str(), 0, nullptr, nullptr), LDNS_STATUS_OK) << text;
  ASSERT_TRUE(ldns_pkt_push_rr(packet, section, record));
}

std::string record_text(const ldns_pkt* packet, std::size_t index) {
  auto text = taken(ldns_rr2str(ldns_rr_list_rr(ldns_pkt_answer(packet), index)));
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

TEST(DnsBesideLdns, ReadsTheQuestionsItWrites) {
  const struct {
    const char* name;
    ldns_rr_type type;
  } cases[] = {
      {"allowed.test", LDNS_RR_TYPE_A}, {"a.b.c.d.e.example", LDNS_RR_TYPE_AAAA}, {"x.test", LDNS_RR_TYPE_TXT}};
  for (const auto& c : cases) {
    const auto packet = query_by_ldns(c.name, c.type);
    ldns_pkt_set_edns_udp_size(packet.get(), 1400);
    const auto bytes = wire_of(packet.get());
    const auto query = parse_dns_query(bytes);
    ASSERT_TRUE(query.complete()) << c.name;
    EXPECT_EQ(query.value().question.name.text(), c.name);
    EXPECT_EQ(static_cast<unsigned>(query.value().question.type), static_cast<unsigned>(c.type));
    EXPECT_EQ(query.value().edns->udp_size, 1400);
    EXPECT_EQ(build_dns_query(query.value()), bytes);
  }
}

Packet full_response() {
  auto packet = query_by_ldns("allowed.test", LDNS_RR_TYPE_A);
  ldns_pkt_set_qr(packet.get(), true);
  push(packet.get(), LDNS_SECTION_ANSWER, "allowed.test. 300 IN CNAME edge.cdn.test.");
  push(packet.get(), LDNS_SECTION_ANSWER, "edge.cdn.test. 60 IN A 45.33.32.10");
  push(packet.get(), LDNS_SECTION_ANSWER, "edge.cdn.test. 60 IN A 45.33.32.11");
  push(packet.get(), LDNS_SECTION_ANSWER, "allowed.test. 60 IN AAAA 2600:3c00::1");
  push(packet.get(), LDNS_SECTION_ANSWER, "allowed.test. 60 IN HTTPS 1 . alpn=h2,h3 port=443 ipv4hint=45.33.32.10");
  push(packet.get(), LDNS_SECTION_AUTHORITY, "test. 60 IN SOA ns.test. who.test. 1 2 3 4 77");
  push(packet.get(), LDNS_SECTION_ADDITIONAL, "ns.test. 60 IN A 45.33.32.53");
  return packet;
}

TEST(DnsBesideLdns, ReadsTheAnswersItWrites) {
  const auto packet = full_response();
  const auto bytes = wire_of(packet.get());
  const auto response = parse_dns_response(bytes);
  ASSERT_TRUE(response.complete());
  EXPECT_EQ(response.value().answers.size(), 5U);
  EXPECT_EQ(response.value().negative_ttl, 60U);
  const auto answer = answer_of(response.value());
  ASSERT_TRUE(answer.complete());
  EXPECT_EQ(answer.value().canonical.text(), "edge.cdn.test");
  ASSERT_EQ(answer.value().addresses.size(), 2U);
  EXPECT_EQ(answer.value().addresses[1].to_string(), "45.33.32.11");
}

TEST(DnsBesideLdns, LdnsReadsTheRepliesWritten) {
  const auto query = parse_dns_query(base::as_bytes(wire::query(9, "aLLowed.test", 65, wire::opt(1232), 1))).value();
  ServiceBinding service{
      .priority = 1,
      .target = {},
      .alpn = {"h2", "http/1.1"},
      .no_default_alpn = true,
      .port = {},
      .hints = {base::IpAddress::parse("45.33.32.10").value(), base::IpAddress::parse("2600:3c00::1").value()},
      .has_mandatory = false,
      .has_ech = false};
  const auto rdata = encode_service_binding(service, [](const base::IpAddress&) { return true; });
  const DnsReply reply{.rcode = DnsRcode::kNoError, .answers = {{DnsType::kHttps, 30, rdata}}, .negative_ttl = 5};
  const auto packet = read_with_ldns(build_dns_reply(query, reply, 1232));
  ASSERT_NE(packet, nullptr);
  EXPECT_EQ(ldns_pkt_id(packet.get()), 9);
  EXPECT_EQ(ldns_pkt_edns_udp_size(packet.get()), 1232);
  EXPECT_EQ(record_text(packet.get(), 0),
            "aLLowed.test.\t30\tIN\tHTTPS\t1 . alpn=h2,http/1.1 no-default-alpn ipv4hint=45.33.32.10 "
            "ipv6hint=2600:3c00::1");
  const auto authority = taken(ldns_rr_list2str(ldns_pkt_authority(packet.get())));
  EXPECT_EQ(authority, ".\t5\tIN\tSOA\tgateway.internal. nobody.invalid. 1 3600 600 86400 5\n");
}

// What ldns refuses, because of records that are not used, may be accepted here. What both accept, both read the same.
void expect_agreement(base::Bytes bytes, int& accepted) {
  const auto ours = parse_dns_response(bytes);
  if (!ours.complete() || ours.value().truncated || ours.value().left_out) return;
  const auto theirs = read_with_ldns(bytes);
  if (theirs == nullptr) return;
  ++accepted;
  EXPECT_EQ(ours.value().id, ldns_pkt_id(theirs.get()));
  std::vector<std::string> our_addresses;
  for (const auto& record : ours.value().answers) {
    if (record.address) our_addresses.push_back(record.address->to_string());
  }
  std::vector<std::string> their_addresses;
  for (std::size_t i = 0; i < ldns_rr_list_rr_count(ldns_pkt_answer(theirs.get())); ++i) {
    const auto* record = ldns_rr_list_rr(ldns_pkt_answer(theirs.get()), i);
    const auto type = ldns_rr_get_type(record);
    const bool address = type == LDNS_RR_TYPE_A || type == LDNS_RR_TYPE_AAAA;
    if (!address || ldns_rr_get_class(record) != LDNS_RR_CLASS_IN) continue;
    const auto text = taken(ldns_rdf2str(ldns_rr_rdf(record, 0)));
    their_addresses.push_back(base::IpAddress::parse(text).value().to_string());
  }
  EXPECT_EQ(our_addresses, their_addresses);
}

TEST(DnsBesideLdns, ReadsMutationsAsLdnsDoes) {
  const auto packet = full_response();
  const auto good = wire_of(packet.get());
  std::mt19937 random(20240607);  // NOLINT: the same mutations each run
  int accepted = 0;
  for (int round = 0; round < 30000; ++round) {
    auto bytes = good;
    const auto flips = 1 + random() % 3;
    for (unsigned i = 0; i < flips; ++i) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    expect_agreement(bytes, accepted);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(accepted, 1000) << "the comparison must compare something";
}

}  // namespace
}  // namespace soleroute::sniffer
