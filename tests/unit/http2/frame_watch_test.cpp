// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/http2/frame_watch.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/http2_wire.h"

namespace soleroute::gateway::http2 {
namespace {

using namespace test::h2;

class Watching : public ::testing::Test {
 protected:
  // Fault, or nothing.
  std::string see(const std::string& bytes) {
    const auto fault = watch_.inspect(base::as_bytes(bytes), now_);
    return std::string(fault ? fault->why : "");
  }
  // How many of these in a row pass.
  int passing(const std::string& bytes, int most) {
    int count = 0;
    while (count < most && see(bytes).empty()) ++count;
    return count;
  }

  FrameWatch watch_{Role::kServer};
  net::Clock::time_point now_{};
};

std::string repeated(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

// T107, CVE-2024-28182
TEST_F(Watching, EndsAFloodOfEmptyContinuations) {
  EXPECT_EQ(see(std::string(kPreface) + frame(kHeaders, 0, 1, "x")), "");
  EXPECT_TRUE(watch_.in_header_block());
  EXPECT_EQ(passing(frame(kContinuation, 0, 1), 1000), kMaxContinuations);
}

TEST_F(Watching, LetsALargeHeaderBlockComeInContinuations) {
  const std::string full(16384, 'x');
  EXPECT_EQ(see(std::string(kPreface) + frame(kHeaders, 0, 1, full)), "");
  EXPECT_EQ(passing(frame(kContinuation, 0, 1, full), 2), 2);
  EXPECT_EQ(see(frame(kContinuation, kEndHeaders, 1, full)), "");
  EXPECT_FALSE(watch_.in_header_block());
}

TEST_F(Watching, EndsAHeaderBlockThatIsTooLarge) {
  const std::string full(16384, 'x');
  EXPECT_EQ(see(std::string(kPreface) + frame(kHeaders, 0, 1, full)), "");
  EXPECT_EQ(passing(frame(kContinuation, 0, 1, full), 8), 3);
}

// T108, CVE-2023-44487
TEST_F(Watching, EndsRapidResets) {
  EXPECT_EQ(see(std::string(kPreface)), "");
  const std::string opened_and_reset = get(1, "a.test") + frame(kRst, 0, 1, u32(8));
  EXPECT_EQ(passing(opened_and_reset, 10000), static_cast<int>(kResetBurst));
}

TEST_F(Watching, LetsAClientGiveUpStreamsNowAndThen) {
  EXPECT_EQ(see(std::string(kPreface)), "");
  for (int i = 0; i < 1000; ++i) {
    now_ += std::chrono::milliseconds(100);
    ASSERT_EQ(see(get(1, "a.test") + frame(kRst, 0, 1, u32(8))), "") << i;
  }
}

// T108, CVE-2025-8671
TEST_F(Watching, EndsResetsThatThePeerProvokes) {
  int count = 0;
  while (!watch_.provoked_reset() && count < 10000) ++count;
  EXPECT_EQ(count, static_cast<int>(kResetBurst));
}

// T107
TEST_F(Watching, EndsFloodsOfFramesThatCarryNothing) {
  const std::string frames[] = {frame(kPing, 0, 0, "12345678"),
                                frame(kSettings, 0, 0),
                                frame(kData, 0, 1),
                                frame(kPriority, 0, 3, "12345"),
                                frame(kWindowUpdate, 0, 0, u32(1)),
                                frame(0xee, 0, 0, "an extension"),
                                frame(kSettings, 1, 0, std::string())};
  for (const auto& each : frames) {
    FrameWatch watch(Role::kServer);
    ASSERT_FALSE(watch.inspect(base::as_bytes(kPreface), now_));
    int count = 0;
    while (!watch.inspect(base::as_bytes(each), now_) && count < 100000) ++count;
    EXPECT_EQ(count, static_cast<int>(kIdleFrameBurst)) << static_cast<int>(each[3]);
  }
}

// What answers 16 KiB of DATA, on the stream and on the connection. Go: 4,096 bytes a step.
TEST_F(Watching, LetsWindowUpdatesGoWithDataInSmallSteps) {
  for (const Role role : {Role::kServer, Role::kClient}) {
    for (const std::uint32_t step : {16384U, 4096U, 2048U, 1024U}) {
      FrameWatch watch(role);
      const std::string preface(role == Role::kServer ? kPreface : "");
      ASSERT_FALSE(watch.inspect(base::as_bytes(preface), now_));
      const std::string update = frame(kWindowUpdate, 0, 1, u32(step)) + frame(kWindowUpdate, 0, 0, u32(step));
      const std::string answer = repeated(update, static_cast<int>(16384 / step));
      for (int i = 0; i < 20000; ++i) {
        watch.sent_data(16384);
        ASSERT_FALSE(watch.inspect(base::as_bytes(answer), now_)) << step << " bytes a step, " << i;
      }
    }
  }
}

TEST_F(Watching, EndsWindowUpdatesOfAFewBytes) {
  EXPECT_EQ(see(std::string(kPreface)), "");
  const std::string answer = repeated(frame(kWindowUpdate, 0, 1, u32(16)), 16384 / 16);
  int count = 0;
  for (; count < 100000; ++count) {
    watch_.sent_data(16384);
    if (!see(answer).empty()) break;
  }
  EXPECT_LT(count, 10);
}

// T210, RFC 9113 section 5.1.1
TEST_F(Watching, EndsAConnectionWhoseStreamNumbersGoBack) {
  const auto headers = [](std::uint32_t stream) { return frame(kHeaders, kEndHeaders, stream, "x"); };
  EXPECT_EQ(see(std::string(kPreface) + headers(5) + headers(7)), "");
  EXPECT_EQ(see(headers(5)), "") << "the control: trailers";
  const auto fault = watch_.inspect(base::as_bytes(headers(3)), now_);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->why, "a stream with a lower number than an earlier one");
  EXPECT_EQ(fault->code, 1U) << "PROTOCOL_ERROR";
}

TEST_F(Watching, LetsStreamNumbersRiseAndBeSkipped) {
  const auto headers = [](std::uint32_t stream) { return frame(kHeaders, kEndHeaders, stream, "x"); };
  EXPECT_EQ(see(std::string(kPreface)), "");
  for (std::uint32_t stream = 1; stream < 40000; stream += 2) ASSERT_EQ(see(headers(stream)), "") << stream;
  constexpr std::uint32_t kFirst = 50001;
  constexpr std::uint32_t kLast = kFirst + 4000;
  for (std::uint32_t stream = kFirst; stream <= kLast; stream += 4) ASSERT_EQ(see(headers(stream)), "") << stream;
  EXPECT_EQ(see(headers(kFirst + 2)), "") << "forgotten: more than kMaxSkippedRanges ago";
  EXPECT_NE(see(headers(kLast - 2)), "") << "remembered";
}

TEST_F(Watching, SeesTheSameHoweverTheBytesAreCut) {
  const std::string bytes = std::string(kPreface) + frame(kHeaders, 0, 1, "abc") +
                            repeated(frame(kContinuation, 0, 1, "xy"), kMaxContinuations + 1);
  for (std::size_t step = 1; step < 40; ++step) {
    FrameWatch watch(Role::kServer);
    std::size_t at = 0;
    bool fault = false;
    for (; at < bytes.size() && !fault; at += step) {
      fault = watch.inspect(base::as_bytes(std::string_view(bytes).substr(at, step)), now_).has_value();
    }
    // The payload of the last frame is not needed to know.
    EXPECT_TRUE(fault) << step;
    EXPECT_GE(at, bytes.size() - 2) << step;
  }
}

}  // namespace
}  // namespace soleroute::gateway::http2
