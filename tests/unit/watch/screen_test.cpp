// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/screen.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/unit/watch/records.h"

namespace soleroute::gateway::watch {
namespace {

Session session_of(Session::Source source = Session::Source::kGateway) {
  return {source, "control.sock", *policy::Policy::compile(std::array<policy::PolicySource, 1>{})};
}

std::string all_of(const Session& session) {
  std::string out;
  for (const auto& line : draw(session, {})) out += text_of(line) + "\n";
  return out;
}

TEST(WatchScreen, FillsAnySizeExactlyAndIsPrintableAscii) {
  auto session = session_of();
  for (int i = 0; i < 50; ++i) session.add(test::denied("h.test", R"(,"path":"/\u001b[31m\u202e\u00e9")"), {});
  session.add(test::held(1, "waits.test"), {});
  for (const auto size : {Size{24, 80}, Size{1, 1}, Size{3, 10}, Size{5, 200}, Size{60, 132}, Size{0, 0}}) {
    session.set_size(size);
    const auto lines = draw(session, {});
    EXPECT_EQ(static_cast<int>(lines.size()), std::max(1, size.rows));
    for (const auto& line : lines) {
      for (const char c : text_of(line)) EXPECT_TRUE(c >= ' ' && c <= '~') << static_cast<int>(c);
    }
  }
  session.set_size({24, 80});
  for (const auto& line : draw(session, {})) EXPECT_LE(text_of(line).size(), 80U) << text_of(line);
}

TEST(WatchScreen, NamesTheKeyAndWhatItAllows) {
  auto session = session_of();
  session.add(test::denied("api.test"), {});
  EXPECT_NE(all_of(session).find("Press a to allow api.test for 15 min"), std::string::npos) << all_of(session);
  session.add(test::held(1, "waits.test"), {});
  const auto text = all_of(session);
  EXPECT_NE(text.find("Let waits.test pass? o once, a 15 min, A always, n no"), std::string::npos) << text;
  EXPECT_NE(text.find("waits 60s"), std::string::npos) << text;
}

TEST(WatchScreen, ShowsTheLinesThatAllowADenialInItsDetails) {
  auto session = session_of(Session::Source::kLog);
  session.add(test::denied("api.test"), {});
  (void)session.on_key({.kind = Key::Kind::kEnter}, {});
  const auto text = all_of(session);
  EXPECT_NE(text.find("gateway allow api.test"), std::string::npos) << text;
  EXPECT_NE(text.find("  domains:"), std::string::npos) << text;
  EXPECT_NE(text.find("    - api.test"), std::string::npos) << text;
}

TEST(WatchScreen, KeepsTheEndOfALongHost) {
  const auto event = test::denied("allowed.test." + std::string(60, 'a') + ".evil.test");
  const auto text = request_text(event.line.decision, 40);
  EXPECT_LE(text.size(), 40U);
  EXPECT_TRUE(text.ends_with(".evil.test")) << text;
}

TEST(WatchScreen, KeepsTheSelectedRowOnTheScreen) {
  auto session = session_of();
  session.add(test::denied("first.test"), {});
  for (int i = 0; i < 100; ++i) session.add(test::denied("h.test"), {});
  (void)session.on_key({.kind = Key::Kind::kHome}, {});
  bool seen = false;
  for (const auto& line : draw(session, {}))
    seen = seen || (line.selected && text_of(line).find("first.test") != std::string::npos);
  EXPECT_TRUE(seen) << all_of(session);
}

}  // namespace
}  // namespace soleroute::gateway::watch
