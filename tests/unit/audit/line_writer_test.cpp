// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/audit/line_writer.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <thread>

#include "tests/unit/audit/log_support.h"

namespace soleroute::gateway::audit {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

std::string line(int number) {
  return fmt::format("{{\"n\":{}}}\n", number);
}

std::uint64_t suppressed_in(const std::string& text) {
  std::uint64_t sum = 0;
  for (const auto& object : objects_of(text)) sum += object.value("suppressed", std::uint64_t{0});
  return sum;
}

TEST(LineWriter, WritesLinesInOrderAndFlushesOnDestruction) {
  Pipe pipe;
  {
    LineWriter writer(std::move(pipe.write), nullptr);
    for (int i = 0; i < 1000; ++i) writer.write(line(i));
  }
  const auto objects = objects_of(read_all(pipe.read));
  ASSERT_EQ(objects.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(objects[static_cast<std::size_t>(i)]["n"], i);
}

TEST(LineWriter, WritesSoonWithoutBeingDestroyed) {
  Pipe pipe;
  LineWriter writer(std::move(pipe.write), nullptr);
  writer.write(line(1));
  EXPECT_EQ(read_some(pipe.read), line(1));
  writer.write(line(2));
  EXPECT_EQ(read_some(pipe.read), line(2));
}

TEST(LineWriter, NeverBlocksOnAPipeNobodyReadsAndCountsWhatItDropped) {
  Pipe pipe;
  Counter dropped{0};
  constexpr int kLines = 100'000;
  auto writer = std::make_unique<LineWriter>(std::move(pipe.write), &dropped);
  const auto start = Clock::now();
  for (int i = 0; i < kLines; ++i) writer->write(line(i));
  EXPECT_LT(Clock::now() - start, 5s);
  EXPECT_GT(dropped.load(), 0U);

  std::string text;
  std::thread reader([&] { text = read_all(pipe.read); });
  writer->suppress("10.0.0.1");
  writer.reset();
  reader.join();
  const auto objects = objects_of(text);
  const auto suppressed = suppressed_in(text);
  const auto reports = static_cast<std::size_t>(
      std::ranges::count_if(objects, [](const auto& object) { return object.contains("suppressed"); }));
  EXPECT_EQ(suppressed, dropped.load());
  EXPECT_EQ(objects.size() - reports + suppressed, kLines + 1) << "every line was written or counted";
}

TEST(LineWriter, RecoversWhenABlockedPipeIsReadAgain) {
  Pipe pipe;
  Counter dropped{0};
  LineWriter writer(std::move(pipe.write), &dropped);
  while (dropped.load() == 0) writer.write(line(7));
  std::string text;
  while (!text.contains("suppressed")) text += read_some(pipe.read);
  // The queue is free a moment after its last byte is read: the first of these may still be dropped, and is reported.
  while (!text.contains("after")) {
    writer.write("{\"after\":true}\n");
    text += read_some(pipe.read);
  }
  EXPECT_GT(suppressed_in(text), 0U);
  EXPECT_LE(suppressed_in(text), dropped.load());
}

TEST(LineWriter, SurvivesAReaderThatIsGone) {
  Pipe pipe;
  pipe.read.reset();
  Counter dropped{0};
  const auto start = Clock::now();
  {
    LineWriter writer(std::move(pipe.write), &dropped);
    for (int i = 0; i < 100; ++i) writer.write(line(i));
  }
  EXPECT_LT(Clock::now() - start, 3s) << "destruction is bounded";
  EXPECT_GE(dropped.load(), 100U);
}

TEST(LineWriter, EndsTheLineThatAReaderLeftInTheMiddle) {
  std::string name = (std::filesystem::temp_directory_path() / "line_writer_XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(name.data());
  const std::string fifo = folder / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  base::Fd first(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  Counter dropped{0};
  LineWriter writer(base::Fd(::open(fifo.c_str(), O_WRONLY | O_CLOEXEC)), &dropped);
  // Longer than the pipe holds: the writer stands in the middle of it when the reader goes.
  writer.write("{\"n\":\"" + std::string(std::size_t{1} << 20, 'x') + "\"}\n");
  const int capacity = ::fcntl(first.get(), F_GETPIPE_SZ);
  for (int held = 0; held < capacity; std::this_thread::yield()) ASSERT_EQ(::ioctl(first.get(), FIONREAD, &held), 0);
  first.reset();
  while (dropped.load() == 0) std::this_thread::yield();
  writer.write("{\"last\":true}\n");
  const base::Fd second(::open(fifo.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  while (!text.contains("last")) text += read_some(second);
  const auto end_of_broken = text.find('\n');
  EXPECT_FALSE(nlohmann::json::accept(text.substr(0, end_of_broken)));
  const auto whole = objects_of(text.substr(end_of_broken + 1));
  EXPECT_TRUE(std::ranges::any_of(whole, [](const auto& object) { return object.contains("last"); }));
  std::filesystem::remove_all(folder);
}

TEST(LineWriter, SurvivesAFullDisk) {
  Counter dropped{0};
  const auto start = Clock::now();
  {
    LineWriter writer(base::Fd(::open("/dev/full", O_WRONLY | O_CLOEXEC)), &dropped);
    for (int i = 0; i < 20'000; ++i) writer.write(line(i));
  }
  EXPECT_LT(Clock::now() - start, 3s);
  EXPECT_GE(dropped.load(), 20'000U);
}

TEST(LineWriter, ShowsThatItCannotWriteAndThatItCanAgain) {
  Counter dropped{0};
  std::atomic<int> fault{0};
  {
    LineWriter writer(base::Fd(::open("/dev/full", O_WRONLY | O_CLOEXEC)), &dropped, &fault);
    writer.write(line(1));
    while (fault.load() == 0) std::this_thread::yield();
    EXPECT_EQ(fault.load(), ENOSPC);
  }
  Pipe pipe;
  fault = ENOSPC;
  LineWriter writer(std::move(pipe.write), &dropped, &fault);
  writer.write(line(2));
  EXPECT_FALSE(read_some(pipe.read).empty());
  while (fault.load() != 0) std::this_thread::yield();
}

TEST(LineWriter, CountsWhatIsQueuedBehindAWriteThatNeverWorks) {
  Counter dropped{0};
  {
    LineWriter writer(base::Fd(::open("/dev/full", O_WRONLY | O_CLOEXEC)), &dropped);
    for (int batch = 0; batch < 4; ++batch) {
      for (int i = 0; i < 100; ++i) writer.write(line(i));
      std::this_thread::sleep_for(4 * LineWriter::kBatch);  // the first is taken, and the others wait behind it
    }
  }
  EXPECT_EQ(dropped.load(), 400U);
}

TEST(LineWriter, WritesToAFileInOrder) {
  std::string name = (std::filesystem::temp_directory_path() / "line_writer_XXXXXX").string();
  const base::Fd file(::mkostemp(name.data(), O_CLOEXEC));
  {
    LineWriter writer(base::Fd(::dup(file.get())), nullptr);
    for (int i = 0; i < 5000; ++i) writer.write(line(i));
  }
  ASSERT_EQ(::lseek(file.get(), 0, SEEK_SET), 0);
  EXPECT_EQ(objects_of(read_all(file)).size(), 5000U);
  std::filesystem::remove(name);
}

TEST(LineWriter, KeepsLinesOfManyThreadsWhole) {
  Pipe pipe;
  std::string text;
  std::thread reader([&] { text = read_all(pipe.read); });
  {
    LineWriter writer(std::move(pipe.write), nullptr);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&writer, t] {
        for (int i = 0; i < 1000; ++i) writer.write(line(t * 1000 + i));
      });
    }
    for (auto& thread : threads) thread.join();
  }
  reader.join();
  std::set<int> seen;
  for (const auto& object : objects_of(text)) seen.insert(object["n"].get<int>());
  EXPECT_EQ(seen.size(), 4000U);
}

TEST(LineWriter, LeavesASignalledProcessAlive) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  // A write to a pipe without reader raises SIGPIPE in the writing thread, whose default would end the process.
  EXPECT_EXIT(
      {
        Pipe pipe;
        pipe.read.reset();
        ::signal(SIGPIPE, SIG_DFL);
        Counter dropped{0};
        {
          LineWriter writer(std::move(pipe.write), &dropped);
          writer.write(line(1));
        }
        std::exit(dropped.load() > 0 ? 7 : 8);
      },
      ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace soleroute::gateway::audit
