// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/queue/packet_record.h"

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>

#include "tests/support/dns_wire.h"

namespace soleroute::gateway::queue {
namespace {

namespace wire = testing::dns_wire;

base::HostName host(const char* text) {
  return base::HostName::parse(text).value();
}
base::IpAddress address(const char* text) {
  return base::IpAddress::parse(text).value();
}
std::string bytes_of(const char* text) {
  const auto parsed = address(text);
  return std::string(base::as_text(std::as_bytes(parsed.bytes())));
}

constexpr const char* kAgent = "10.77.0.10";
constexpr const char* kOwn = "10.77.0.2";

std::string ipv4(unsigned protocol, const char* to, const std::string& transport) {
  return "\x45" + wire::u8(0) + wire::u16(static_cast<unsigned>(20 + transport.size())) + wire::u32(0) + wire::u8(64) +
         wire::u8(protocol) + wire::u16(0) + bytes_of(kAgent) + bytes_of(to) + transport;
}
std::string ipv6(unsigned next, const char* to, const std::string& transport) {
  return wire::u32(0x60000000) + wire::u16(static_cast<unsigned>(transport.size())) + wire::u8(next) + wire::u8(64) +
         bytes_of("fd77::10") + bytes_of(to) + transport;
}
std::string tcp(unsigned port) {
  return wire::u16(40000) + wire::u16(port) + wire::u32(1) + wire::u32(0) + "\x50\x02" + wire::u16(64240) +
         wire::u32(0);
}
std::string udp(unsigned port, const std::string& payload) {
  return wire::u16(40000) + wire::u16(port) + wire::u16(static_cast<unsigned>(8 + payload.size())) + wire::u16(0) +
         payload;
}
// A QUIC version 1 Initial with eight-byte connection id (RFC 9000 section 17.2.2).
std::string quic_initial() {
  return "\xc3" + wire::u32(1) + wire::u8(8) + "12345678" + wire::u8(0) + wire::u8(0) + "\x44\xd0" +
         std::string(1200, 'x');
}

struct PacketRecord : ::testing::Test {
  PacketRecord() {
    const policy::PolicySource source{"policy.yaml", R"(domains: [allowed.test]
endpoints:
  - {host: db.test, port: 5432, protocol: tcp}
  - {cidr: 45.33.40.0/28, ports: [8000], protocol: tcp}
)"};
    policy = policy::Policy::compile(std::span(&source, 1)).value();
    names.set_own_addresses({address(kOwn)});
    look_up("allowed.test", "45.33.32.10");
    look_up("db.test", "45.33.32.50");
    names.asked(address(kAgent), host("evil.test"), true);
  }
  void look_up(const char* name, const char* where) {
    names.remember(host(name), {address(where)}, dns::Clock::now() + std::chrono::seconds(60));
    names.asked(address(kAgent), host(name), false);
  }
  audit::DecisionRecord record(const std::string& packet) {
    return record_of_packet(base::as_bytes(packet), *policy, names);
  }
  std::shared_ptr<const policy::Policy> policy;
  dns::ReverseNames names;
};

TEST_F(PacketRecord, SaysWhoTriedWhat) {
  const auto tried = record(ipv4(6, "45.33.32.66", tcp(9999)));
  EXPECT_EQ(tried.phase, policy::Phase::kPacket);
  EXPECT_FALSE(tried.allowed);
  EXPECT_EQ(tried.reason, "endpoint_not_allowed");
  EXPECT_EQ(tried.client.to_string(), kAgent);
  EXPECT_EQ(tried.destination, "45.33.32.66:9999");
  EXPECT_EQ(tried.port, 9999);
  EXPECT_EQ(tried.detail, "tcp");
  EXPECT_EQ(tried.host, "");
}

TEST_F(PacketRecord, NamesWhatTheClientHadLookedUp) {
  const auto known = record(ipv4(6, "45.33.32.10", tcp(22)));
  EXPECT_EQ(known.host, "allowed.test");
  EXPECT_EQ(known.reason, "endpoint_not_allowed") << "the name is allowed, the port is not";
  const auto denied = record(ipv4(6, kOwn, tcp(22)));
  EXPECT_EQ(denied.host, "evil.test");
  EXPECT_EQ(denied.reason, "host_not_allowed") << "the name itself is not allowed";
}

TEST_F(PacketRecord, TheAddressOfADeniedNameTellsTheNameAndThePort) {
  const auto denied = std::make_shared<dns::DeniedAddresses>(
      dns::DeniedNetworks{.v4 = base::Cidr::parse("100.65.0.0/16").value(), .v6 = std::nullopt});
  names.use_denied(denied);
  const auto now = dns::DeniedAddresses::Clock::now();
  const auto evil = denied->give(address(kAgent), host("evil.test"), now).v4->to_string();
  const auto opened = denied->give(address(kAgent), host("db.test"), now).v4->to_string();
  const auto redis = record(ipv4(6, evil.c_str(), tcp(6379)));
  EXPECT_EQ(redis.host, "evil.test");
  EXPECT_EQ(redis.port, 6379);
  EXPECT_EQ(redis.reason, "endpoint_not_allowed");
  EXPECT_EQ(redis.detail, "tcp, this gateway");
  EXPECT_EQ(record(ipv4(17, evil.c_str(), udp(5000, "x"))).reason, "endpoint_not_allowed");
  EXPECT_EQ(record(ipv4(17, evil.c_str(), udp(443, quic_initial()))).reason, "quic_refused");
  const auto ping = record(ipv4(1, evil.c_str(), "\x08" + std::string(7, '\0')));
  EXPECT_EQ(ping.host, "evil.test");
  EXPECT_EQ(ping.reason, "endpoint_not_allowed");
  EXPECT_EQ(record(ipv4(6, opened.c_str(), tcp(22))).reason, "endpoint_not_allowed") << "another port of an endpoint";
  EXPECT_EQ(record(ipv4(6, opened.c_str(), tcp(5432))).reason, "endpoint_allowed") << "allowed since; not by address";
  const auto unnamed = record(ipv4(6, "100.65.9.9", tcp(6379)));
  EXPECT_EQ(unnamed.host, "");
  EXPECT_EQ(unnamed.detail, "tcp, this gateway") << "so that no tool advises this address";
}

TEST_F(PacketRecord, TellsQuicOnTheWebsPortsFromOtherUdp) {
  const auto quic = record(ipv4(17, "45.33.32.10", udp(443, quic_initial())));
  EXPECT_EQ(quic.reason, "quic_refused");
  EXPECT_EQ(quic.detail, "udp, quic version 1");
  EXPECT_EQ(quic.host, "allowed.test");
  EXPECT_EQ(record(ipv4(17, "45.33.32.66", udp(80, quic_initial()))).reason, "quic_refused");
  EXPECT_EQ(record(ipv4(17, kOwn, udp(80, quic_initial()))).reason, "quic_refused") << "whatever its name";
  const auto other = record(ipv4(17, "45.33.32.66", udp(9998, quic_initial())));
  EXPECT_EQ(other.reason, "endpoint_not_allowed");
  EXPECT_EQ(other.detail, "udp");
}

TEST_F(PacketRecord, KnowsIpv6IcmpAndTheRest) {
  const auto six = record(ipv6(6, "2606:2800::1", tcp(25)));
  EXPECT_EQ(six.destination, "[2606:2800::1]:25");
  EXPECT_EQ(six.client.to_string(), "fd77::10");
  const auto ping = record(ipv4(1, "45.33.32.66", "\x08" + std::string(7, '\0')));
  EXPECT_EQ(ping.detail, "icmp type 8");
  EXPECT_EQ(ping.destination, "45.33.32.66");
  EXPECT_EQ(ping.port, 0);
  EXPECT_EQ(record(ipv4(47, "45.33.32.66", "gre")).detail, "ip protocol 47");
}

TEST_F(PacketRecord, APolicyThatAllowsItIsNotBlamed) {
  const auto refused = record(ipv4(6, "45.33.40.1", tcp(8000)));
  EXPECT_EQ(refused.reason, "endpoint_allowed");
  EXPECT_EQ(refused.rule, "policy.yaml:4");
  EXPECT_EQ(refused.detail, "tcp, allowed by the policy, but the rules do not redirect it");
}

TEST_F(PacketRecord, BytesThatAreNoPacketAreRecordedAsSuch) {
  for (const std::string& bytes : {std::string(), std::string("\x45"), std::string(64, '\xff')}) {
    EXPECT_EQ(record(bytes).reason, "malformed");
  }
}

}  // namespace
}  // namespace soleroute::gateway::queue
