// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/control_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/await.h"
#include "tests/support/temporary_folder.h"

namespace soleroute::gateway::serve {
namespace {

struct Fixture {
  Fixture()
      : opened(ControlSocket::open(
            io, path,
            [this](const ControlQuestion& question, const ControlSocket::Reply& reply) {
              const std::string& ask = question.ask;
              asked.push_back(ask);
              if (ask == "later") return void(held.push_back(reply));
              reply(ask == "unknown" ? std::string{} : "{\"to\":\"" + ask + "\"}");
            },
            [this](audit::DecisionFeed::News news) { return feed.read(std::move(news)); })) {}

  base::Fd connect() const {
    base::Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return client;
  }

  // A client whose question is held and not answered yet.
  base::Fd connect_and_wait() {
    base::Fd client = connect();
    const std::string later = "{\"ask\":\"later\"}\n";
    EXPECT_EQ(::send(client.get(), later.data(), later.size(), 0), static_cast<ssize_t>(later.size()));
    testing::run_until(io, [&] { return !held.empty(); });
    return client;
  }

  std::string answer(const base::Fd& client, const std::string& line) {
    if (!line.empty()) {
      EXPECT_EQ(::send(client.get(), line.data(), line.size(), 0), static_cast<ssize_t>(line.size()));
    }
    return lines(client, 1);
  }

  // Until so many lines are there, or the end.
  std::string lines(const base::Fd& client, std::ptrdiff_t count) {
    std::string all;
    testing::run_until(io, [&] {
      std::array<char, 1024> buffer{};
      const auto size = ::recv(client.get(), buffer.data(), buffer.size(), 0);
      if (size > 0) all.append(buffer.data(), static_cast<std::size_t>(size));
      return std::ranges::count(all, '\n') >= count || size == 0;
    });
    return all;
  }

  base::Fd watch() {
    base::Fd client = connect();
    const std::string question = "{\"ask\":\"watch\"}\n";
    EXPECT_EQ(::send(client.get(), question.data(), question.size(), 0), static_cast<ssize_t>(question.size()));
    return client;
  }

  audit::DecisionFeed feed;
  testing::TemporaryFolder folder;
  std::string path = folder.path("run/control.sock");
  boost::asio::io_context io;
  std::vector<std::string> asked;
  std::vector<ControlSocket::Reply> held;
  base::Result<std::unique_ptr<ControlSocket>> opened;
};

TEST(ControlSocket, AnswersOneQuestionAfterAnother) {
  Fixture f;
  ASSERT_TRUE(f.opened.has_value());
  const base::Fd client = f.connect();
  EXPECT_EQ(f.answer(client, "{\"ask\":\"status\"}\n"), "{\"to\":\"status\"}\n");
  EXPECT_EQ(f.answer(client, "{\"ask\":\"reload\"}\n"), "{\"to\":\"reload\"}\n");
  EXPECT_EQ(f.asked, (std::vector<std::string>{"status", "reload"}));
}

TEST(ControlSocket, AnswersOthersWhileOneWaitsForItsReply) {
  Fixture f;
  ASSERT_TRUE(f.opened.has_value());
  const base::Fd waiting = f.connect_and_wait();
  EXPECT_EQ(f.answer(f.connect(), "{\"ask\":\"status\"}\n"), "{\"to\":\"status\"}\n");
  f.held.front()("{}");
  EXPECT_EQ(f.answer(waiting, ""), "{}\n");
  EXPECT_EQ(f.answer(waiting, "{\"ask\":\"status\"}\n"), "{\"to\":\"status\"}\n");
}

TEST(ControlSocket, EndsTheOldestSilentClientForOneMore) {
  Fixture f;
  ASSERT_TRUE(f.opened.has_value());
  const base::Fd waiting = f.connect_and_wait();
  std::vector<base::Fd> silent;
  for (std::size_t i = 0; i < ControlSocket::kMaxClients; ++i) {
    silent.push_back(f.connect());
    f.io.poll();  // the queue of the listener is no longer than that
  }
  EXPECT_EQ(f.answer(f.connect(), "{\"ask\":\"status\"}\n"), "{\"to\":\"status\"}\n");
  EXPECT_EQ(f.answer(silent.front(), ""), "") << "ended";
  f.held.front()("{}");
  EXPECT_EQ(f.answer(waiting, ""), "{}\n") << "it had asked";
}

TEST(ControlSocket, SaysWhatCanBeAskedWhereItDoesNotUnderstand) {
  Fixture f;
  ASSERT_TRUE(f.opened.has_value());
  const base::Fd client = f.connect();
  EXPECT_EQ(f.answer(client, "{\"ask\":\"unknown\"}\n"), "{\"error\":\"cannot answer 'unknown' here\"}\n");
  for (const char* line : {"{\"ask\":7}\n", "reload\n", "\n", "[\"reload\"]\n"}) {
    EXPECT_THAT(f.answer(client, line), ::testing::StartsWith("{\"error\":\"ask one of: status, reload")) << line;
  }
  EXPECT_EQ(f.answer(client, "{\"ask\":\"allow\",\"hots\":\"a.test\"}\n"),
            "{\"error\":\"unknown or wrong field 'hots'\"}\n");
  EXPECT_EQ(f.asked, std::vector<std::string>{"unknown"});
}

audit::DecisionRecord about(std::string host) {
  audit::DecisionRecord record;
  record.host = std::move(host);
  return record;
}

TEST(ControlSocket, StreamsDecisionsToThoseThatWatch) {
  Fixture f;
  ASSERT_TRUE(f.opened.has_value());
  f.feed.decision(about("before.test"));
  const base::Fd client = f.watch();
  EXPECT_THAT(f.lines(client, 1), ::testing::HasSubstr("\"host\":\"before.test\""));
  f.feed.decision(about("after.test"));
  f.feed.say("{\"held\":{\"id\":1}}\n");
  const std::string lines = f.lines(client, 2);
  EXPECT_THAT(lines, ::testing::StartsWith("{\"decision\":{\"ts\":"));
  EXPECT_THAT(lines, ::testing::HasSubstr("after.test"));
  EXPECT_THAT(lines, ::testing::EndsWith("}}\n{\"held\":{\"id\":1}}\n"));
  EXPECT_EQ(f.answer(f.connect(), "{\"ask\":\"status\"}\n"), "{\"to\":\"status\"}\n")
      << "others are answered meanwhile";
}

TEST(ControlSocket, LeavesRoomForOthersHoweverManyWatch) {
  Fixture f;
  ASSERT_TRUE(f.opened.has_value());
  std::vector<base::Fd> watching;
  for (std::size_t i = 0; i < audit::DecisionFeed::kMaxReaders; ++i) {
    watching.push_back(f.watch());
    testing::run_until(f.io, [&] { return f.feed.readers() == i + 1; });
  }
  EXPECT_EQ(f.lines(f.watch(), 1), "{\"error\":\"too many watch this gateway already\"}\n");
  EXPECT_EQ(f.answer(f.connect(), "{\"ask\":\"status\"}\n"), "{\"to\":\"status\"}\n");
  watching.clear();
  testing::run_until(f.io, [&] { return f.feed.readers() == 0; });
  EXPECT_EQ(f.asked, std::vector<std::string>{"status"}) << "who has gone is not fed any more";
}

TEST(ControlSocket, ClosesOnALineThatIsTooLong) {
  Fixture f;
  ASSERT_TRUE(f.opened.has_value());
  const base::Fd client = f.connect();
  EXPECT_EQ(f.answer(client, std::string(5000, 'x')), "");
  EXPECT_TRUE(f.asked.empty());
}

TEST(ControlSocket, IsItsUsersAloneAndGoneWithIt) {
  Fixture f;
  ASSERT_TRUE(f.opened.has_value());
  struct stat status{};
  ASSERT_EQ(::stat(f.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat(f.folder.path("run").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  f.opened->reset();
  EXPECT_NE(::stat(f.path.c_str(), &status), 0);
}

TEST(ReloadAnswer, TellsWhatHoldsNowOrWhatIsWrong) {
  EXPECT_EQ(reload_answer(PolicyInForce{2, "a.yaml: 1 host"}),
            R"({"accepted":true,"detail":"a.yaml: 1 host","version":2})");
  PolicyInForce old{2, "a.yaml: 1 host"};
  old.mount_fault = host::MountFault{host::MountFault::Kind::kReplaced, "a.yaml was replaced"};
  EXPECT_EQ(
      reload_answer(old),
      R"({"accepted":true,"detail":"a.yaml: 1 host","replaced":true,"version":2,"warning":"a.yaml was replaced"})");
  EXPECT_EQ(reload_detail(old), "a.yaml: 1 host, revision 2; warning: a.yaml was replaced");
  EXPECT_EQ(reload_answer(base::usage_error("a.yaml:1:1: \"what\"\n^")),
            R"({"accepted":false,"detail":"a.yaml:1:1: \"what\"\n^"})");
}

}  // namespace
}  // namespace soleroute::gateway::serve
