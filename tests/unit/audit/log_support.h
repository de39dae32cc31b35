// Reading back what a log wrote: pipes and files of a test's own.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/fd.h"

namespace soleroute::gateway::audit {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  base::Fd read;
  base::Fd write;
};

// One read(2), blocking; empty at end of file.
inline std::string read_some(const base::Fd& fd) {
  std::string bytes(std::size_t{1} << 16, '\0');
  ssize_t count = 0;
  do {
    count = ::read(fd.get(), bytes.data(), bytes.size());
  } while (count < 0 && errno == EINTR);
  bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return bytes;
}

// Until every write end is closed.
inline std::string read_all(const base::Fd& fd) {
  std::string all;
  for (std::string some = read_some(fd); !some.empty(); some = read_some(fd)) all += some;
  return all;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Every line must be one JSON object and nothing else.
inline std::vector<nlohmann::json> objects_of(const std::string& text) {
  std::vector<nlohmann::json> objects;
  for (const std::string& line : lines_of(text)) {
    auto object = nlohmann::json::parse(line, nullptr, false);
    EXPECT_TRUE(object.is_object()) << line;
    objects.push_back(std::move(object));
  }
  return objects;
}

}  // namespace soleroute::gateway::audit
