// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/subject.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string_view>

#include "gateway/watch/event.h"

namespace soleroute::gateway::watch {
namespace {

struct Row {
  const char* why;
  std::string_view fields;  // of a blocked decision
  const char* subject;      // nullptr: none
};

constexpr std::array kRows{
    Row{"a host", R"("phase":"http","reason":"host_not_allowed","host":"api.example.test","port":443)",
        "api.example.test"},
    Row{"a look-up", R"("phase":"dns","reason":"host_not_allowed","host":"api.example.test")", "api.example.test"},
    Row{"a host on another port",
        R"("phase":"connect","reason":"host_not_allowed","host":"api.example.test","port":8443)",
        "api.example.test:8443"},
    Row{"a name that reads as a service", R"("phase":"http","reason":"host_not_allowed","host":"github","port":443)",
        "https://github/"},
    Row{"a wildcard as a host", R"("phase":"http","reason":"host_not_allowed","host":"*.example.test","port":443)",
        nullptr},
    Row{"a URL as a host", R"("phase":"http","reason":"host_not_allowed","host":"https://a.test/","port":443)",
        nullptr},
    Row{"text of a policy as a host",
        R"("phase":"http","reason":"host_not_allowed","host":"a.test\ndomains: [b.test]","port":443)", nullptr},
    Row{"an address as a host", R"("phase":"http","reason":"host_not_allowed","host":"192.0.2.1","port":443)", nullptr},
    Row{"a request that no rule allows",
        R"("phase":"http","reason":"no_rule_matched","host":"a.test","scheme":"https","port":443,"method":"GET","path":"/v1/x")",
        "https://a.test/v1/x"},
    Row{"a path that would allow all below it",
        R"("phase":"http","reason":"no_rule_matched","host":"a.test","scheme":"https","port":443,"method":"GET","path":"/v1/")",
        nullptr},
    Row{"a path that is more than a path",
        R"("phase":"http","reason":"no_rule_matched","host":"a.test","scheme":"https","port":443,"method":"GET","path":"/a\"}]")",
        nullptr},
    Row{"a TCP port of an address",
        R"("phase":"packet","reason":"endpoint_not_allowed","destination":"192.0.2.1:5432","port":5432,"detail":"tcp")",
        "192.0.2.1:5432"},
    Row{"a TCP port of a name",
        R"("phase":"packet","reason":"endpoint_not_allowed","host":"db.test","destination":"192.0.2.1:5432","port":5432,"detail":"tcp")",
        "db.test:5432"},
    Row{"a UDP port",
        R"("phase":"packet","reason":"endpoint_not_allowed","destination":"192.0.2.1:5000","port":5000,"detail":"udp")",
        nullptr},
    Row{"a private address",
        R"("phase":"http","reason":"private_address","host":"a.test","port":443,"resolved":"10.0.0.1")", nullptr},
    Row{"an entry that denies", R"("phase":"http","reason":"denied_by_policy","host":"a.test","port":443)", nullptr},
    Row{"what is no HTTP", R"("phase":"http","reason":"malformed","host":"a.test","port":443)", nullptr},
};

TEST(Subject, NamesWhatWasAskedForAndNothingElse) {
  for (const auto& row : kRows) {
    const auto event = parse_event(R"({"type":"decision","action":"blocked",)" + std::string(row.fields) + "}");
    ASSERT_TRUE(event.has_value()) << row.why;
    const auto subject = subject_of(event->line.decision);
    EXPECT_EQ(subject, row.subject == nullptr ? std::nullopt : std::optional<std::string>(row.subject)) << row.why;
  }
}

TEST(Subject, IsNothingForWhatIsAllowed) {
  const auto event =
      parse_event(R"({"type":"decision","action":"allowed","phase":"http","reason":"host_allowed","host":"a.test"})");
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(subject_of(event->line.decision), std::nullopt);
}

}  // namespace
}  // namespace soleroute::gateway::watch
