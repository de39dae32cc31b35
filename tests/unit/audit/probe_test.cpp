// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/probe.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>

#include "gateway/audit/log_line.h"

namespace soleroute::gateway::audit {
namespace {

using policy::Phase;

DecisionRecord refused(Phase phase, const std::string& host, std::uint16_t port = 0) {
  DecisionRecord record;
  record.phase = phase;
  record.reason = "host_not_allowed";
  record.client = base::IpAddress::v4({10, 77, 0, 10});
  record.host = host;
  record.port = port;
  return record;
}

DecisionRecord lookup() {
  auto record = refused(Phase::kDns, std::string(kProbeName));
  record.detail = "dns type A";
  return record;
}

DecisionRecord request(const std::string& host, const std::string& destination) {
  auto record = refused(Phase::kHttp, host, 80);
  record.scheme = "http";
  record.method = "GET";
  record.path = kProbePath;
  record.destination = destination;
  return record;
}

DecisionRecord packet(const std::string& destination, const std::string& detail) {
  auto record = refused(Phase::kPacket, "");
  record.reason = "endpoint_not_allowed";
  record.destination = destination;
  record.port = base::Endpoint::parse(destination)->port;
  record.detail = detail;
  return record;
}

TEST(Probes, AreThoseThatVerifySends) {
  EXPECT_TRUE(is_probe(lookup()));
  EXPECT_TRUE(is_probe(request(std::string(kProbeName), "192.0.2.1:80")));
  EXPECT_TRUE(is_probe(request("169.254.169.254", "169.254.169.254:80")));
  EXPECT_TRUE(is_probe(refused(Phase::kTls, std::string(kProbeName), 443)));
  EXPECT_TRUE(is_probe(packet("192.0.2.1:9999", "tcp")));
  EXPECT_TRUE(is_probe(packet("192.0.2.1:9999", "udp")));
  EXPECT_TRUE(is_probe(packet("192.0.2.1:853", "tcp")));
  EXPECT_TRUE(is_probe(packet("192.0.2.1:443", "udp")));
  EXPECT_TRUE(is_probe(packet("[2001:db8::1]:9999", "tcp")));
  auto repeated = lookup();
  repeated.detail = "dns type A; 3 more like it";
  EXPECT_TRUE(is_probe(repeated));
}

// An agent may send all of it. What it must not be able to hide is anything else.
TEST(Probes, HideNothingThatAnAgentCouldUse) {
  struct Row {
    const char* why;
    DecisionRecord record;
    std::function<void(DecisionRecord&)> change;
  };
  const std::string name(kProbeName);
  const Row rows[]{
      {"data in a name below", lookup(), [](auto& r) { r.host = "c2VjcmV0.verify.soleroute.example"; }},
      {"data in a name beside", lookup(), [](auto& r) { r.host = "xverify.soleroute.example"; }},
      {"an answer that carries data", lookup(), [](auto& r) { r.detail = "dns type TXT"; }},
      {"another type", lookup(), [](auto& r) { r.detail = "dns type AAAA"; }},
      {"another path", request(name, "192.0.2.1:80"), [](auto& r) { r.path = "/secret"; }},
      {"a longer path", request(name, "192.0.2.1:80"), [](auto& r) { r.path += "/secret"; }},
      {"another method", request(name, "192.0.2.1:80"), [](auto& r) { r.method = "POST"; }},
      {"another host", request(name, "192.0.2.1:80"), [](auto& r) { r.host = "evil.example"; }},
      {"the metadata service's own paths", request("169.254.169.254", "169.254.169.254:80"),
       [](auto& r) { r.path = "/latest/meta-data/"; }},
      {"another destination", request("169.254.169.254", "169.254.169.254:80"),
       [](auto& r) { r.destination = "10.0.0.1:80"; }},
      {"another metadata service", request("169.254.169.254", "169.254.169.254:80"),
       [](auto& r) { r.host = "169.254.170.2"; }},
      {"another server name", refused(Phase::kTls, name, 443), [](auto& r) { r.host = "evil.example"; }},
      {"another port", packet("192.0.2.1:9999", "tcp"), [](auto& r) { r.destination = "192.0.2.1:22"; }},
      {"another address", packet("192.0.2.1:9999", "tcp"), [](auto& r) { r.destination = "192.0.2.2:9999"; }},
      {"a name that was looked up", packet("192.0.2.1:9999", "tcp"), [](auto& r) { r.host = "evil.example"; }},
      {"a tunnel", packet("192.0.2.1:9999", "tcp"), [](auto& r) { r.phase = Phase::kConnect, r.method = "CONNECT"; }},
      {"what was allowed", request(name, "192.0.2.1:80"), [](auto& r) { r.allowed = true; }},
      {"what only observing let pass", request(name, "192.0.2.1:80"), [](auto& r) { r.observed = true; }},
  };
  for (auto row : rows) {
    EXPECT_TRUE(is_probe(row.record)) << "the control of: " << row.why;
    row.change(row.record);
    EXPECT_FALSE(is_probe(row.record)) << row.why;
  }
}

TEST(Probes, StayInTheLogWithAMark) {
  const auto when = std::chrono::system_clock::time_point{};
  EXPECT_NE(to_json_line(lookup(), when).find("\"probe\":true"), std::string::npos);
  EXPECT_TRUE(parse_log_line(to_json_line(lookup(), when))->probe);
  const auto other = refused(Phase::kTls, "evil.example", 443);
  EXPECT_EQ(to_json_line(other, when).find("\"probe\""), std::string::npos);
}

// The mark is for people and their tools; it is what the record says that counts.
TEST(Probes, AreNotWhatAMarkAloneSays) {
  std::string line = to_json_line(refused(Phase::kTls, "evil.example", 443), {});
  line.replace(line.find("\"action\""), 0, "\"probe\":true,");
  EXPECT_FALSE(parse_log_line(line)->probe);
}

TEST(Probes, AreCountedApart) {
  Counters counters;
  count_decision(counters, lookup());
  count_decision(counters, refused(Phase::kTls, "evil.example", 443));
  auto allowed = refused(Phase::kTls, "a.test", 443);
  allowed.allowed = true;
  count_decision(counters, allowed);
  EXPECT_EQ(counters.probes_denied, 1U);
  EXPECT_EQ(counters.decisions_denied, 1U);
  EXPECT_EQ(counters.decisions_allowed, 1U);
}

}  // namespace
}  // namespace soleroute::gateway::audit
