// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/decision_log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "tests/unit/audit/log_support.h"

namespace soleroute::gateway::audit {
namespace {

using nlohmann::json;

std::string written(Verbosity verbosity, const std::function<void(DecisionLog&)>& use) {
  Pipe pipe;
  {
    const auto log = make_json_log(std::move(pipe.write), verbosity);
    use(*log);
  }
  return read_all(pipe.read);
}

// Takes all that comes, on a thread. At its end a log gives a slow receiver half a second: who needs every line waits
// for the last of them before.
class Receiver {
 public:
  explicit Receiver(const base::Fd& from) : thread_([this, fd = from.get()] { receive(fd); }) {}
  ~Receiver() {
    if (thread_.joinable()) thread_.join();
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  Receiver(Receiver&&) = delete;
  Receiver& operator=(Receiver&&) = delete;

  void wait_for(const std::string& last) {
    std::unique_lock lock(mutex_);
    const bool came = more_.wait_for(lock, std::chrono::seconds(30), [&] { return text_.contains(last); });
    EXPECT_TRUE(came) << last;
  }
  const std::string& all() {
    thread_.join();
    return text_;
  }

 private:
  void receive(int fd) {
    std::array<char, 65536> chunk;
    for (ssize_t count = 1; count > 0;) {
      count = ::read(fd, chunk.data(), chunk.size());
      const std::lock_guard lock(mutex_);
      if (count > 0) text_.append(chunk.data(), static_cast<std::size_t>(count));
      more_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable more_;
  std::string text_;
  std::thread thread_;
};

json only_object(const std::string& text) {
  const auto objects = objects_of(text);
  EXPECT_EQ(objects.size(), 1U) << text;
  return objects.empty() ? json{} : objects.front();
}

DecisionRecord full_record() {
  DecisionRecord record;
  record.phase = policy::Phase::kHttp;
  record.allowed = true;
  record.reason = "request_rule_matched";
  record.client = base::IpAddress::v4({10, 0, 203, 99});
  record.host = "api.example.org";
  record.scheme = "http";
  record.port = 80;
  record.method = "GET";
  record.path = "/v1/things";
  record.matched_host = "*.example.org";
  record.rule = "policy.yaml:12";
  record.destination = "192.0.2.7:80";
  record.status = 200;
  record.bytes_in = 120;
  record.bytes_out = 34567;
  record.duration_ms = 15;
  return record;
}

TEST(DecisionLog, WritesEveryKnownFieldUnderItsName) {
  auto object = only_object(written(Verbosity::kNormal, [](DecisionLog& log) { log.decision(full_record()); }));
  EXPECT_TRUE(object["ts"].get<std::string>().ends_with("Z"));
  object.erase("ts");
  EXPECT_EQ(object, json::parse(R"({"type":"decision","phase":"http","action":"allowed",
    "reason":"request_rule_matched","client":"10.0.203.99","host":"api.example.org","scheme":"http","port":80,
    "method":"GET","path":"/v1/things","destination":"192.0.2.7:80","matched_host":"*.example.org",
    "rule":"policy.yaml:12","status":200,"bytes_in":120,"bytes_out":34567,"duration_ms":15})"));
}

TEST(DecisionLog, LeavesOutWhatIsNotKnown) {
  DecisionRecord record;
  record.phase = policy::Phase::kDns;
  record.reason = "host_not_allowed";
  record.client = base::IpAddress::parse("2001:db8::1").value();
  auto object = only_object(written(Verbosity::kNormal, [&](DecisionLog& log) { log.decision(record); }));
  object.erase("ts");
  EXPECT_EQ(object, json::parse(R"({"type":"decision","phase":"dns","action":"blocked","reason":"host_not_allowed",
    "client":"2001:db8::1"})"));
}

TEST(DecisionLog, CannotBeForgedThroughAnyUntrustedField) {
  const std::string hostile =
      "a\r\n{\"type\":\"decision\",\"action\":\"allowed\",\"host\":\"evil.test\"}\n\",\"action\":"
      "\"allowed\x1b]0;pwned\x07\xff\xE2\x80\xA8\xE2\x80\xAE";
  DecisionRecord record = full_record();
  record.allowed = false;
  for (std::string* field : {&record.reason, &record.host, &record.scheme, &record.method, &record.path,
                             &record.matched_host, &record.rule, &record.detail, &record.destination}) {
    *field = hostile;
  }
  const std::string text = written(Verbosity::kNormal, [&](DecisionLog& log) {
    log.decision(record);
    log.lifecycle(hostile, hostile);
    log.reload(false, hostile);
    log.error(hostile);
  });
  const auto objects = objects_of(text);
  ASSERT_EQ(objects.size(), 4U);
  EXPECT_EQ(objects[0]["action"], "blocked");
  EXPECT_EQ(objects[0]["client"], "10.0.203.99");
  EXPECT_EQ(objects[1]["type"], "lifecycle");
  EXPECT_EQ(objects[2]["accepted"], false);
  EXPECT_EQ(objects[3]["type"], "error");
  EXPECT_TRUE(std::ranges::all_of(text, [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7F); }));
}

TEST(DecisionLog, SaysWhatHappenedToThePolicyAndTheProgram) {
  const auto objects = objects_of(written(Verbosity::kNormal, [](DecisionLog& log) {
    log.lifecycle("healthy", "serving");
    log.reload(true, "3 hosts");
    log.error("cannot bind");
  }));
  ASSERT_EQ(objects.size(), 3U);
  EXPECT_EQ(objects[0]["event"], "healthy");
  EXPECT_EQ(objects[1]["accepted"], true);
  EXPECT_EQ(objects[2]["message"], "cannot bind");
}

TEST(DecisionLog, KeepsToDenialsAndTroubleWhenQuiet) {
  const auto use = [](DecisionLog& log) {
    DecisionRecord record = full_record();
    log.decision(record);
    record.allowed = false;
    log.decision(record);
    log.lifecycle("healthy", "");
    log.reload(false, "bad");
  };
  const auto quiet = objects_of(written(Verbosity::kQuiet, use));
  ASSERT_EQ(quiet.size(), 2U);
  EXPECT_EQ(quiet[0]["action"], "blocked");
  EXPECT_EQ(quiet[1]["type"], "reload");
  EXPECT_EQ(objects_of(written(Verbosity::kNormal, use)).size(), 4U);
}

TEST(DecisionLog, HoldsBackAFloodOfDenialsAndSaysHowManyWhileAllowedOnesAreKept) {
  // 30,000 is far over the burst, and the pipe is read all along.
  Pipe pipe;
  std::string text;
  Counters counters;
  std::thread reader([&] { text = read_all(pipe.read); });
  constexpr int kFlood = 30'000;
  {
    const auto log = make_json_log(std::move(pipe.write), Verbosity::kNormal, &counters);
    DecisionRecord denied = full_record();
    denied.allowed = false;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kFlood; ++i) log->decision(denied);
    if (std::chrono::steady_clock::now() - start > std::chrono::seconds(10)) {
      ADD_FAILURE() << "the flood took so long that the limit did not apply";
    }
    log->decision(full_record());
  }
  reader.join();
  std::uint64_t suppressed = 0;
  int blocked = 0;
  for (const auto& object : objects_of(text)) {
    suppressed += object.value("suppressed", std::uint64_t{0});
    if (object.value("action", "") == "blocked") ++blocked;
  }
  EXPECT_GT(suppressed, 0U);
  EXPECT_EQ(suppressed, counters.log_records_dropped.load());
  EXPECT_GT(blocked, 0);
}

TEST(DecisionLog, LosesTheDenialsOfTheFloodingClientAloneAndNamesIt) {
  Pipe pipe;
  Receiver receiver(pipe.read);
  DecisionRecord flood = full_record();
  flood.allowed = false;
  DecisionRecord other = flood;
  other.client = base::IpAddress::v4({10, 0, 203, 100});
  {
    const auto log = make_json_log(std::move(pipe.write), Verbosity::kNormal);
    for (int i = 0; i < 30'000; ++i) {
      log->decision(flood);
      if (i % 100 == 99) log->decision(other);
    }
    log->lifecycle("over", "the flood");
    receiver.wait_for("the flood");
  }
  const std::string& text = receiver.all();
  int of_other = 0;
  for (const auto& object : objects_of(text)) {
    if (object.contains("suppressed")) {
      EXPECT_EQ(object.value("client", ""), "10.0.203.99");
    }
    if (object.value("client", "") == "10.0.203.100") ++of_other;
  }
  EXPECT_EQ(of_other, 300) << "every denial of the other client is written";
  EXPECT_NE(text.find("\"suppressed\""), std::string::npos) << "control: the flood was over its share";
}

TEST(DecisionLog, CostsTheCallerLittle) {
  // A bound far above the measured microsecond, so that only a blunder (a system call a record) can fail it.
  Pipe pipe;
  std::thread reader([&] { read_all(pipe.read); });
  constexpr int kRecords = 50'000;
  std::chrono::nanoseconds spent{};
  {
    const auto log = make_json_log(std::move(pipe.write), Verbosity::kNormal);
    const DecisionRecord record = full_record();
    timespec before{};
    timespec after{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    for (int i = 0; i < kRecords; ++i) log->decision(record);
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    spent =
        std::chrono::seconds(after.tv_sec - before.tv_sec) + std::chrono::nanoseconds(after.tv_nsec - before.tv_nsec);
  }
  reader.join();
  RecordProperty("nanoseconds_per_record", static_cast<int>(spent.count() / kRecords));
  std::printf("%ld ns of CPU a record\n", static_cast<long>(spent.count() / kRecords));
  EXPECT_LT(spent.count() / kRecords, 50'000);
}

}  // namespace
}  // namespace soleroute::gateway::audit
