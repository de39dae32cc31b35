// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/log_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soleroute::gateway::audit {
namespace {

using ::testing::HasSubstr;

LogLine read(std::string_view text) {
  auto line = parse_log_line(text);
  EXPECT_TRUE(line.has_value()) << text;
  return line.value_or(LogLine{});
}

constexpr std::string_view kDenied =
    R"({"ts":"2026-11-24T03:05:01.118Z","type":"decision","phase":"http","action":"blocked","reason":"host_not_allowed",)"
    R"("client":"10.77.0.2","host":"example.com","scheme":"http","port":80,"method":"GET","path":"/x","status":403})";

TEST(LogText, SaysWhoWasToldWhat) {
  EXPECT_EQ(log_text(read(kDenied), false),
            "03:05:01  deny        10.77.0.2        http     GET http://example.com/x  host_not_allowed 403");
  EXPECT_THAT(log_text(read(kDenied), true), HasSubstr("\x1b[31mdeny"));
}

TEST(LogText, SaysWhatHappenedToTheGateway) {
  struct Row {
    const char* json;
    const char* text;
  };
  const Row rows[] = {
      {R"({"ts":"2026-11-24T03:05:01.118Z","type":"lifecycle","event":"healthy","detail":"router on eth0"})",
       "03:05:01  healthy     router on eth0"},
      {R"({"ts":"2026-11-24T03:05:01.118Z","type":"reload","accepted":true,"detail":"a.yaml: 2 hosts, revision 2"})",
       "03:05:01  reloaded    a.yaml: 2 hosts, revision 2"},
      {R"({"ts":"2026-11-24T03:05:01.118Z","type":"reload","accepted":false,"detail":"a.yaml:1:1: wrong"})",
       "03:05:01  error       a.yaml:1:1: wrong"},
      {R"({"ts":"2026-11-24T03:05:01.118Z","type":"error","message":"out of memory"})",
       "03:05:01  error       out of memory"},
  };
  for (const Row& row : rows) EXPECT_EQ(log_text(read(row.json), false), row.text);
}

TEST(LogText, KeepsTheLinesOfAMessageBehindAMargin) {
  const std::string_view fault =
      R"({"ts":"2026-11-24T03:05:01.118Z","type":"reload","accepted":false,"detail":"a.yaml:2:3: unknown key\n)"
      R"(  hots: a\u001b[2J\n  ^\n03:05:01  allow"})";
  EXPECT_EQ(log_text(read(fault), false),
            "03:05:01  error       a.yaml:2:3: unknown key\n"
            "            hots: a\\u{001b}[2J\n"
            "            ^\n"
            "          03:05:01  allow");
  EXPECT_THAT(log_text(read(fault), true), HasSubstr("a\\u{001b}[2J\n"));
}

TEST(LogText, CutsLongMessagesByLines) {
  LogLine line;
  line.type = LineType::kError;
  for (int i = 0; i < 150; ++i) line.text += std::string(600, 'x') + "\n";
  const std::string text = log_text(line, false);
  EXPECT_THAT(text, HasSubstr("\n          (50 more lines)"));
  EXPECT_LT(text.size(), 100U * 520U);
}

TEST(LogText, TellsObservedRefusalsFromReal) {
  std::string observed(kDenied);
  observed.replace(observed.find("\"reason\""), 0, "\"observed\":true,");
  EXPECT_THAT(log_text(read(observed), false), HasSubstr("would deny"));
  EXPECT_TRUE(is_denial(read(observed)));
}

TEST(LogText, ShowsAProbeAsOneAndNotAmongDenials) {
  std::string probe(kDenied);
  probe.replace(probe.find("example.com"), 11, "verify.soleroute.example");
  probe.replace(probe.find("\"/x\""), 4, "\"/gateway-verify\"");
  EXPECT_FALSE(is_denial(read(probe)));
  EXPECT_THAT(log_text(read(probe), false), HasSubstr("03:05:01  probe "));
}

TEST(LogText, SaysThatADeniedHostIsOptional) {
  std::string optional(kDenied);
  optional.replace(optional.find("\"status\""), 0, R"("detail":"optional for gemini (telemetry): works without",)");
  EXPECT_TRUE(is_denial(read(optional)));
  EXPECT_THAT(log_text(read(optional), false), HasSubstr("  optional for gemini (telemetry): works without"));
}

TEST(LogText, ReadsLinesWithAServiceNameInFront) {
  EXPECT_THAT(log_text(read("proxy-1  | " + std::string(kDenied)), false), HasSubstr("example.com"));
}

TEST(LogText, DrivesNoTerminal) {
  for (const char* const field : {"host", "path", "method", "reason", "detail", "rule", "scheme", "destination"}) {
    const std::string line =
        std::string(R"({"ts":"\u001b[2J2026","type":"decision","phase":"http","action":"blocked",")") + field +
        R"(":"a\u001b]0;x\u0007\r\nb\u009b31m\u202ec\u0085"})";
    const std::string shown = log_text(read(line), false);
    for (const char c : shown) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << field;
    EXPECT_EQ(shown.find("\xc2\x9b"), std::string::npos) << field << ": C1 as UTF-8";
    EXPECT_EQ(shown.find("\xe2\x80\xae"), std::string::npos) << field << ": right to left";
  }
  const std::string error = log_text(read(R"({"type":"error","ts":"x","message":"\u001b[31m"})"), false);
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
}

TEST(LogText, ShowsOnlyDenialsToThoseWhoAskForThem) {
  EXPECT_TRUE(is_denial(read(kDenied)));
  EXPECT_FALSE(is_denial(read(R"({"type":"decision","phase":"dns","action":"allowed","host":"a.test"})")));
  EXPECT_TRUE(is_denial(read(R"({"type":"error","message":"x"})")));
  EXPECT_TRUE(is_denial(read(R"({"type":"reload","accepted":false})")));
  EXPECT_FALSE(is_denial(read(R"({"type":"reload","accepted":true})")));
  EXPECT_FALSE(is_denial(read(R"({"type":"lifecycle","event":"healthy"})")));
}

TEST(LogLine, IsNothingForWhatIsNoneOfOurs) {
  for (const char* const text : {"", "{", "[]", "null", "hello", "{}", R"({"type":"decision"})",
                                 R"({"type":"decision","phase":"x","action":"blocked"})",
                                 R"({"type":"decision","phase":"dns","action":"maybe"})", R"({"type":7})",
                                 R"({"type":"decision","phase":"dns","action":"blocked")"}) {
    EXPECT_FALSE(parse_log_line(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_log_line(std::string(kMaxLogLine, ' ') + std::string(kDenied)).has_value());
}

TEST(LogLine, TakesFieldsOfAWrongTypeForAbsent) {
  const auto line =
      read(R"({"type":"decision","phase":"tls","action":"blocked","host":7,"port":65536,"status":"x","client":[]})");
  EXPECT_EQ(line.decision.host, "");
  EXPECT_EQ(line.decision.port, 0);
  EXPECT_FALSE(line.decision.status.has_value());
}

TEST(LogLine, IsWhatTheLogWrote) {
  DecisionRecord record;
  record.phase = policy::Phase::kConnect;
  record.observed = true;
  record.client = base::IpAddress::parse("10.0.0.1").value();
  record.reason = "endpoint_not_allowed";
  record.host = "a.test";
  record.port = 22;
  record.method = "CONNECT";
  record.path = "/\"\n\\";
  record.destination = "192.0.2.1:22";
  record.detail = "d";
  record.status = 403;
  const auto line = read(to_json_line(record, std::chrono::system_clock::now()));
  EXPECT_EQ(line.decision.phase, record.phase);
  EXPECT_EQ(line.decision.observed, true);
  EXPECT_EQ(line.decision.client, record.client);
  EXPECT_EQ(line.decision.port, 22);
  EXPECT_EQ(line.decision.path, record.path);
  EXPECT_EQ(line.decision.destination, record.destination);
  EXPECT_EQ(line.decision.status, 403);
}

}  // namespace
}  // namespace soleroute::gateway::audit
