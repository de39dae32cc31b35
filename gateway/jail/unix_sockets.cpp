// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/unix_sockets.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/read_file.h"
#include "base/text.h"

namespace soleroute::gateway::jail {
namespace {

constexpr const char* kTable = "/proc/net/unix";
constexpr std::size_t kMaxTable = 64 * 1024 * 1024;  // about half a million sockets
constexpr int kFieldsBeforePath = 7;                 // Num RefCount Protocol Flags Type St Inode

// What follows the seventh field and one space, to the end of the line: a path may hold spaces.
std::string_view path_field(std::string_view line) {
  std::size_t at = 0;
  for (int field = 0; field < kFieldsBeforePath; ++field) {
    at = line.find_first_not_of(' ', at);
    if (at == std::string_view::npos) return {};
    at = line.find(' ', at);
    if (at == std::string_view::npos) return {};
  }
  return line.substr(at + 1);
}

base::Result<std::string> read_table() {
  auto text = base::read_file(kTable, kMaxTable + 1);
  if (text && text->size() > kMaxTable) return base::system_error("/proc/net/unix is too long");
  return text;
}

bool is_socket(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

std::vector<std::string> bound_paths(std::string_view proc_net_unix) {
  std::vector<std::string> paths;
  for (const auto line : base::lines_of(proc_net_unix)) {
    const std::string_view path = path_field(line);
    if (path.starts_with('/')) paths.emplace_back(path);
  }
  std::ranges::sort(paths);
  const auto [first, last] = std::ranges::unique(paths);
  paths.erase(first, last);
  return paths;
}

base::Result<std::vector<std::string>> reachable_unix_sockets() {
  SR_LET(table, read_table());
  std::vector<std::string> paths = bound_paths(*table);
  std::erase_if(paths, [](const std::string& path) { return !is_socket(path); });
  return paths;
}

}  // namespace soleroute::gateway::jail
