// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/host/policy_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <system_error>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "base/text.h"

namespace soleroute::gateway::host {
namespace {

using base::Error;
using base::ErrorKind;

constexpr std::chrono::nanoseconds kSettled = std::chrono::milliseconds(50);
constexpr std::chrono::milliseconds kSettlingPatience{1000};
constexpr std::array<std::string_view, 2> kDefaultPolicies{".devcontainer/policy.yaml", "policy.yaml"};

std::unexpected<Error> file_error(const std::string& path, std::string_view what, int err = 0) {
  std::string message = fmt::format("{}: {}", base::shown(path), what);
  if (err != 0) message += fmt::format(": {}", std::generic_category().message(err));
  return std::unexpected(Error{std::move(message), ErrorKind::kUsage, err});
}

// "cannot open policy.yaml: No such file or directory".
std::unexpected<Error> call_error(std::string_view what, const std::string& path, int err) {
  return std::unexpected(
      Error{fmt::format("cannot {} {}: {}", what, base::shown(path), std::generic_category().message(err)),
            ErrorKind::kUsage, err});
}

std::string_view kind_of(const struct stat& status) {
  if (S_ISDIR(status.st_mode)) return "a directory";
  if (S_ISFIFO(status.st_mode)) return "a FIFO or pipe";
  if (S_ISSOCK(status.st_mode)) return "a socket";
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) return "a device";
  return "a special file";
}

bool same_content(const struct stat& before, const struct stat& after) {
  return before.st_size == after.st_size && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
         before.st_mtim.tv_nsec == after.st_mtim.tv_nsec;
}

bool named_by_variable(const std::vector<std::string>& files) {
  const auto holds_them = [&](std::string_view value, std::string_view separator) {
    if (value.ends_with(separator)) value.remove_suffix(separator.size());
    return !value.empty() && value == fmt::format("{}", fmt::join(files, separator));
  };
  return std::ranges::any_of(std::array{"GATEWAY_POLICY", "SOLEROUTE_POLICY"}, [&](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && (holds_them(value, ",") || holds_them(value, "\n"));
  });
}

// Stops one byte past the bound: the size in the inode is a hint only (files of /proc say 0).
base::Result<std::string> read_bounded(int fd, const std::string& path, std::size_t expected, std::size_t max_bytes) {
  std::string text;
  text.reserve(expected);
  std::array<char, 16384> chunk{};
  for (;;) {
    const ssize_t count = ::read(fd, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return call_error("read", path, errno);
    if (count == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(count));
    if (text.size() > max_bytes) return file_error(path, fmt::format("larger than {} bytes", max_bytes));
  }
}

base::Status check_opened(int fd, const std::string& path, std::size_t max_bytes, struct stat& status) {
  if (::fstat(fd, &status) != 0) return call_error("read", path, errno);
  if (!S_ISREG(status.st_mode)) {
    return file_error(path, fmt::format("is {}, not a file", kind_of(status)));
  }
  if (std::cmp_greater(status.st_size, max_bytes)) {
    return file_error(path, fmt::format("larger than {} bytes", max_bytes));
  }
  return {};
}

base::Result<base::Fd> open_ordinary(const std::string& path) {
  if (path.empty()) return base::usage_error("the file name is empty");
  if (path.find('\0') != std::string::npos) return file_error(path, "a file name cannot contain a NUL byte");
  // O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever. O_NOCTTY: a terminal is not ours to take.
  base::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file) return file;
  // ENXIO is what open(2) says of a socket.
  if (errno == ENXIO) return file_error(path, "is a socket or a missing device, not a file", ENXIO);
  return call_error("open", path, errno);
}

base::Result<std::string> read_opened(int fd, const std::string& path, std::size_t max_bytes) {
  struct stat before{};
  SR_TRY(check_opened(fd, path, max_bytes, before));
  auto text = read_bounded(fd, path, static_cast<std::size_t>(before.st_size), max_bytes);
  if (!text) return text;
  struct stat after{};
  if (::fstat(fd, &after) != 0) return call_error("read", path, errno);
  if (!same_content(before, after)) return file_error(path, "changed while it was read; try again");
  return text;
}

// A file that was written a moment ago may still be being written. What was cut off at a line's end can be a policy of
// its own, and admit more than the whole: nothing in the text tells, only time does. The open file is asked, not its
// path: files that are renamed to it, one after another, are each whole.
base::Status wait_until_settled(int fd, const std::string& path) {
  const auto patience = std::chrono::steady_clock::now() + kSettlingPatience;
  for (;;) {
    struct stat status{};
    if (::fstat(fd, &status) != 0) return call_error("read", path, errno);
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const auto age = std::chrono::seconds(now.tv_sec - status.st_mtim.tv_sec) +
                     std::chrono::nanoseconds(now.tv_nsec - status.st_mtim.tv_nsec);
    const bool fresh = age < kSettled && age > -kSettled;  // a clock that was set back is no reason to wait
    if (!fresh || !S_ISREG(status.st_mode)) return {};
    if (std::chrono::steady_clock::now() > patience) {
      return file_error(path, "keeps changing; write a new file and rename it to this name");
    }
    std::this_thread::sleep_for(kSettled - age);
  }
}

}  // namespace

base::Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes) {
  SR_LET(file, open_ordinary(path));
  return read_opened(file->get(), path, max_bytes);
}

base::Result<std::string> read_settled_file(const std::string& path, std::size_t max_bytes) {
  SR_LET(file, open_ordinary(path));
  SR_TRY(wait_until_settled(file->get(), path));
  return read_opened(file->get(), path, max_bytes);
}

base::Result<policy::PolicySource> read_policy_file(const std::string& path, const FileReader& read) {
  SR_LET(text, read(path, kMaxPolicyFile));
  return policy::PolicySource{path, std::move(*text)};
}

base::Result<std::vector<policy::PolicySource>> read_policy_files(std::span<const std::string> paths,
                                                                  const FileReader& read) {
  std::vector<policy::PolicySource> sources;
  for (const std::string& path : paths) {
    SR_LET(source, read_policy_file(path, read));
    sources.push_back(std::move(*source));
  }
  return sources;
}

base::Result<std::shared_ptr<const policy::Policy>> load_policy(std::span<const std::string> paths) {
  SR_LET(layers, read_policy_files(paths));
  return policy::Policy::compile(*layers);
}

base::Result<std::vector<policy::PolicySource>> read_settled_policy_files(std::span<const std::string> paths) {
  std::vector<base::Fd> files;
  for (const std::string& path : paths) {
    SR_LET(file, open_ordinary(path));
    files.push_back(std::move(*file));
  }
  for (std::size_t i = 0; i < paths.size(); ++i) {
    SR_TRY(wait_until_settled(files[i].get(), paths[i]));
  }
  std::vector<policy::PolicySource> sources;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    SR_LET(text, read_opened(files[i].get(), paths[i], kMaxPolicyFile));
    sources.push_back({paths[i], std::move(*text)});
  }
  return sources;
}

bool is_there(const std::string& path) {
  struct stat status{};
  // lstat: a dangling link is a policy that cannot be read, not the absence of one. Any other failure than "not there"
  // likewise counts as there, or an unreadable directory would silently choose the next name.
  return ::lstat(path.c_str(), &status) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

PolicyChoice choose_policy(const std::vector<std::string>& named) {
  PolicyChoice choice{.files = named, .guessed = named.empty()};
  if (!choice.guessed) return choice;
  if (auto found = find_default_policy("")) choice.files.push_back(std::move(*found));
  choice.second = !choice.files.empty() && choice.files.front() != kDefaultPolicies.back() &&
                  is_there(std::string(kDefaultPolicies.back()));
  return choice;
}

std::string policy_warning(const PolicyChoice& choice) {
  if (!choice.guessed) return {};
  if (choice.files.empty()) {
    return fmt::format("gateway: warning: no policy file found ({}): all network access is blocked\n",
                       fmt::join(kDefaultPolicies, ", "));
  }
  if (!choice.second) return {};
  return fmt::format("gateway: warning: {} is not used because {} exists; pass --policy to choose\n",
                     kDefaultPolicies.back(), base::shown(choice.files.front()));
}

std::string policy_notice(const PolicyChoice& choice) {
  const bool hidden = !choice.files.empty() && (choice.guessed || named_by_variable(choice.files));
  const std::string names = base::shown(fmt::format("{}", fmt::join(choice.files, ", ")));
  return (hidden ? fmt::format("gateway: policy: {}\n", names) : "") + policy_warning(choice);
}

std::optional<std::string> find_default_policy(std::string_view directory) {
  for (const std::string_view name : kDefaultPolicies) {
    std::string path = directory.empty() ? std::string(name) : fmt::format("{}/{}", directory, name);
    if (is_there(path)) return path;
  }
  return std::nullopt;
}

}  // namespace soleroute::gateway::host
